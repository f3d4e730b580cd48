//! Reading: defaults, file, environment, flags.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};

use crate::model::Config;
use crate::settings::{Kind, SETTINGS, Setting};

/// What stops a configuration from being used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{variable} is `{value}`, but {expected}")]
    Variable {
        variable: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("configuration: {0}")]
    Invalid(String),
}

impl ConfigError {
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "invalid_configuration"
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    Variable(&'static str),
    Flag,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// Where to read from; [`Sources::from_process`] is what programs use.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    pub environment: BTreeMap<String, String>,
    /// Key (as in `illumine.toml`) to text.
    pub flags: BTreeMap<&'static str, String>,
}

impl Sources {
    /// `illumine.toml` of the current folder (or `ILLUMINE_CONFIG`) and the
    /// process's environment.
    #[must_use]
    pub fn from_process() -> Self {
        let environment: BTreeMap<String, String> = std::env::vars().collect();
        let named = environment.get("ILLUMINE_CONFIG").map(PathBuf::from);
        let usual = PathBuf::from("illumine.toml");
        let file = named.or_else(|| usual.exists().then_some(usual));
        Self {
            file,
            environment,
            flags: BTreeMap::new(),
        }
    }

    /// Sets a value as a flag would.
    #[must_use]
    pub fn with_flag(mut self, key: &'static str, value: Option<impl Into<String>>) -> Self {
        if let Some(value) = value {
            self.flags.insert(key, value.into());
        }
        self
    }
}

/// A configuration and where its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub origins: BTreeMap<&'static str, Origin>,
}

impl Loaded {
    /// A table of key, value and origin, secrets masked.
    #[must_use]
    pub fn report(&self) -> String {
        let shown = serde_json::to_value(&self.config).unwrap_or_default();
        let mut report = String::new();
        for setting in SETTINGS {
            let value = lookup(&shown, setting.key);
            let origin = self.origins.get(setting.key).unwrap_or(&Origin::Default);
            let _ = writeln!(report, "{:<30} {:<44} {origin}", setting.key, value);
        }
        report
    }
}

fn lookup(root: &serde_json::Value, key: &str) -> String {
    let found = key.split('.').try_fold(root, |value, part| value.get(part));
    match found {
        None | Some(serde_json::Value::Null) => "(not set)".into(),
        Some(serde_json::Value::String(text)) => without_password(text),
        Some(serde_json::Value::Array(items)) if items.is_empty() => "(all that are set)".into(),
        Some(other) => other.to_string(),
    }
}

/// An address may hold a password.
fn without_password(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(mut url) if url.password().is_some() => {
            // Fails for addresses without a host alone, which have no password.
            let _ = url.set_password(Some("***"));
            url.into()
        }
        _ => text.to_owned(),
    }
}

/// Reads the configuration. An empty variable counts as not set. Paths under
/// the data folder follow `data_dir` unless they are set themselves.
///
/// # Errors
/// [`ConfigError`] naming the variable or the key, and what was expected.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut origins = BTreeMap::new();
    let mut figment = Figment::from(Serialized::defaults(plain_defaults()));
    if let Some(path) = &sources.file {
        if !path.exists() {
            return Err(ConfigError::Invalid(format!(
                "{} does not exist",
                path.display()
            )));
        }
        let file = Figment::from(Toml::file(path));
        for setting in SETTINGS {
            if file.contains(setting.key) {
                origins.insert(setting.key, Origin::File(path.clone()));
            }
        }
        figment = figment.merge(file);
    }
    for setting in SETTINGS {
        let variable = sources
            .environment
            .get(setting.variable)
            .filter(|text| !text.is_empty());
        let (text, origin) = match (sources.flags.get(setting.key), variable) {
            (Some(flag), _) => (flag, Origin::Flag),
            (None, Some(text)) => (text, Origin::Variable(setting.variable)),
            (None, None) => continue,
        };
        figment = figment.merge(Serialized::default(setting.key, parse(setting, text)?));
        origins.insert(setting.key, origin);
    }
    let mut config: Config = figment
        .extract()
        .map_err(|error| ConfigError::Invalid(error.to_string()))?;
    follow_data_dir(&mut config, &origins);
    check(&config)?;
    Ok(Loaded { config, origins })
}

/// Defaults with secrets in the clear: a `Secret` serialises as its mask.
fn plain_defaults() -> Dict {
    let defaults = Config::default();
    let access = defaults.s3.access_key.expose().to_owned();
    let secret = defaults.s3.secret_key.expose().to_owned();
    let value = Value::serialize(&defaults).unwrap_or_else(|_| Value::from(Dict::new()));
    let mut dict = value.into_dict().unwrap_or_default();
    if let Some(Value::Dict(_, s3)) = dict.get_mut("s3") {
        s3.insert("access_key".into(), access.into());
        s3.insert("secret_key".into(), secret.into());
    }
    dict
}

fn parse(setting: &Setting, text: &str) -> Result<Value, ConfigError> {
    let wrong = |expected| ConfigError::Variable {
        variable: setting.variable,
        value: if setting.secret {
            "***".into()
        } else {
            text.into()
        },
        expected,
    };
    match setting.kind {
        Kind::Text => Ok(Value::from(text)),
        Kind::List => {
            let items: Vec<Value> = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(Value::from)
                .collect();
            Ok(Value::from(items))
        }
        Kind::Number => text
            .trim()
            .parse::<u64>()
            .map(Value::from)
            .map_err(|_| wrong("a whole number is needed")),
        Kind::Flag => match text.trim().to_ascii_lowercase().as_str() {
            "on" | "true" | "1" | "yes" => Ok(Value::from(true)),
            "off" | "false" | "0" | "no" => Ok(Value::from(false)),
            _ => Err(wrong("`on` or `off` is needed")),
        },
    }
}

fn follow_data_dir(config: &mut Config, origins: &BTreeMap<&'static str, Origin>) {
    let data_dir = config.data_dir.clone();
    let is_default = |key| !origins.contains_key(key);
    if is_default("web_dir") {
        config.web_dir = data_dir.join("web");
    }
    if is_default("tools.library_dir") {
        config.tools.library_dir = data_dir.join("library");
    }
    if is_default("tools.python") {
        config.tools.python = data_dir.join("python/bin/python");
    }
}

fn check(config: &Config) -> Result<(), ConfigError> {
    if !config.auth && !config.listen.ip().is_loopback() {
        return Err(ConfigError::Invalid(format!(
            "auth is off, which is accepted on loopback only, and listen is {}; set ILLUMINE_AUTH=on",
            config.listen
        )));
    }
    if config.s3.bucket.len() < 3 {
        return Err(ConfigError::Invalid(
            "s3.bucket needs three characters or more".into(),
        ));
    }
    for (name, value) in [
        ("worker.processes", config.worker.processes),
        ("worker.concurrency", config.worker.concurrency),
    ] {
        if value == 0 {
            return Err(ConfigError::Invalid(format!("{name} must be at least 1")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Sources {
        let environment = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Sources {
            environment,
            ..Sources::default()
        }
    }

    #[test]
    fn defaults_need_nothing() {
        let loaded = load(&Sources::default()).unwrap();
        assert_eq!(loaded.config, Config::default());
        assert_eq!(loaded.config.s3.secret_key.expose(), "illumine-local");
    }

    #[test]
    fn every_setting_names_a_field() {
        let shown = serde_json::to_value(Config::default()).unwrap();
        for setting in SETTINGS {
            let found = setting
                .key
                .split('.')
                .try_fold(&shown, |value, part| value.get(part));
            assert!(found.is_some(), "{}", setting.key);
        }
    }

    #[test]
    fn environment_beats_file_and_flag_beats_both() {
        let folder = std::env::temp_dir().join(format!("illumine-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("illumine.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\nredis_url = \"redis://file/\"\n[policy]\nspec = \"burn:file\"\n").unwrap();
        let mut sources = environment(&[
            ("ILLUMINE_REDIS_URL", "redis://environment/"),
            ("ILLUMINE_POLICY", "burn:environment"),
        ]);
        sources.file = Some(file.clone());
        let sources = sources.with_flag("policy.spec", Some("burn:flag"));
        let loaded = load(&sources).unwrap();
        assert_eq!(loaded.config.listen.port(), 1);
        assert_eq!(loaded.config.redis_url, "redis://environment/");
        assert_eq!(loaded.config.policy.spec, "burn:flag");
        assert_eq!(loaded.origins["listen"], Origin::File(file));
        assert_eq!(loaded.origins["policy.spec"], Origin::Flag);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn lists_flags_and_derived_paths() {
        let loaded = load(&environment(&[
            ("ILLUMINE_SEARCH", "serpapi, library"),
            ("ILLUMINE_AUTH", "off"),
            ("ILLUMINE_CONSTRAIN_TAGS", "off"),
            ("ILLUMINE_DATA_DIR", "/srv/state"),
        ]))
        .unwrap();
        assert_eq!(loaded.config.tools.search, ["serpapi", "library"]);
        assert!(!loaded.config.auth && !loaded.config.policy.constrain_tags);
        let shown = loaded.report();
        let line = shown
            .lines()
            .find(|line| line.starts_with("policy.constrain_tags"));
        assert!(line.unwrap().contains("false"), "{shown}");
        assert_eq!(loaded.config.web_dir, PathBuf::from("/srv/state/web"));
    }

    #[test]
    fn mistakes_are_named() {
        let number = load(&environment(&[("ILLUMINE_WORKERS", "two")]))
            .unwrap_err()
            .to_string();
        assert!(
            number.contains("ILLUMINE_WORKERS") && number.contains("two"),
            "{number}"
        );
        let open = load(&environment(&[
            ("ILLUMINE_AUTH", "off"),
            ("ILLUMINE_LISTEN", "0.0.0.0:80"),
        ]));
        assert!(open.unwrap_err().to_string().contains("loopback"));
    }

    #[test]
    fn passwords_in_addresses_are_masked() {
        let loaded = load(&environment(&[
            ("RAY_ADDRESS", "https://user:hunter2@ray.example:8265"),
            ("ILLUMINE_REDIS_URL", "redis://:hunter2@redis.example/"),
        ]));
        let report = loaded.unwrap().report();
        assert!(!report.contains("hunter2"), "{report}");
        assert!(
            report.contains("https://user:***@ray.example:8265"),
            "{report}"
        );
    }

    #[test]
    fn secrets_are_never_reported() {
        let loaded = load(&environment(&[
            ("SERP_API_KEY", "s3cr3t"),
            ("ILLUMINE_S3_SECRET_KEY", "s3cr3t"),
        ]))
        .unwrap();
        let all = format!(
            "{} {:?} {}",
            loaded.report(),
            loaded.config,
            serde_json::to_string(&loaded.config).unwrap()
        );
        assert!(!all.contains("s3cr3t"));
        assert!(all.contains("SERP_API_KEY"));
    }
}
