//! The site as files: static ones, and `index.html` with the right names in it.
//!
//! In the folder of static files, `index.html` is a template whose `{{name}}`
//! become addresses: `{{js}}`, `{{wasm}}`, `{{style}}`, or a script of the
//! folder such as `{{theme.js}}`. Everything in `styles/` is joined, in the
//! order of the names, into one style sheet.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::bind::Bound;

/// Paths below the site's root and what is there.
pub type Site = BTreeMap<String, Vec<u8>>;

/// Puts the site together.
///
/// # Errors
/// A file cannot be read, or the template names something that is not there.
pub fn site(bound: &Bound, statics: &Path) -> Result<Site> {
    let mut site = Site::new();
    let mut names = BTreeMap::new();

    let wasm = named(&mut site, "illumine", "_bg.wasm", bound.wasm.clone());
    // Beside each other, wherever the site is served.
    let start = format!(
        "\n__wbg_init({{ module_or_path: new URL('{}', import.meta.url) }});\n",
        wasm.trim_start_matches("assets/")
    );
    ensure!(
        bound.js.contains("__wbg_init as default"),
        "wasm-bindgen's start function has another name than `__wbg_init`"
    );
    let js = named(
        &mut site,
        "illumine",
        ".js",
        (bound.js.clone() + &start).into(),
    );
    names.insert("js".to_owned(), js);
    names.insert("wasm".to_owned(), wasm);
    names.insert(
        "style".to_owned(),
        named(
            &mut site,
            "style",
            ".css",
            styles(&statics.join("styles"))?.into(),
        ),
    );

    let mut template = None;
    for entry in fs::read_dir(statics).with_context(|| statics.display().to_string())? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            bail!("a file name that is not Unicode in {}", statics.display());
        };
        if path.is_dir() {
            ensure!(name == "styles", "an unexpected folder: {}", path.display());
            continue;
        }
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        match name.strip_suffix(".js") {
            _ if name == "index.html" => template = Some(String::from_utf8(bytes)?),
            Some(stem) => {
                let address = named(&mut site, stem, ".js", bytes);
                names.insert(name.to_owned(), address);
            }
            None => drop(site.insert(name.to_owned(), bytes)),
        }
    }
    let template = template.context("no index.html among the static files")?;
    site.insert("index.html".into(), filled(&template, &names)?.into());
    Ok(site)
}

/// Adds a file named by its content; answers its path.
fn named(site: &mut Site, stem: &str, extension: &str, bytes: Vec<u8>) -> String {
    let digest = Sha256::digest(&bytes);
    let hash: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = format!("assets/{stem}-{hash}{extension}");
    site.insert(path.clone(), bytes);
    path
}

fn styles(folder: &Path) -> Result<String> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "css") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut joined = String::new();
    for path in paths {
        joined += &fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    }
    Ok(without_comments(&joined))
}

/// Drops comments and blank lines; the rest is left to the compression.
fn without_comments(css: &str) -> String {
    let mut out = String::with_capacity(css.len());
    let mut rest = css;
    while let Some((before, after)) = rest.split_once("/*") {
        out.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    let lines = out.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn filled(template: &str, names: &BTreeMap<String, String>) -> Result<String> {
    let mut page = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").context("`{{` without `}}`")?;
        let path = names
            .get(name)
            .with_context(|| format!("index.html names `{name}`, which is not there"))?;
        page.push_str(before);
        page.push('/');
        page.push_str(path);
        rest = after;
    }
    page.push_str(rest);
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("styles")).unwrap();
        write("styles/2.css", "b { }\n");
        write("styles/1.css", "/* first */\na { }\n");
        write("theme.js", "1;");
        write("favicon.svg", "<svg/>");
        write("index.html", "{{js}} {{wasm}} {{style}} {{theme.js}}");
        folder
    }

    fn bound() -> Bound {
        Bound {
            js: "export { __wbg_init as default };".into(),
            wasm: b"\0asm".to_vec(),
        }
    }

    #[test]
    fn the_page_names_files_that_are_there() {
        let site = site(&bound(), folder().path()).unwrap();
        let page = String::from_utf8(site["index.html"].clone()).unwrap();
        for address in page.split(' ') {
            let path = address.strip_prefix('/').unwrap();
            assert!(site.contains_key(path), "{path}");
        }
        assert!(site.contains_key("favicon.svg"));
        let style = site
            .iter()
            .find(|(path, _)| path.ends_with(".css"))
            .unwrap();
        assert_eq!(style.1, b"a { }\nb { }");
    }

    #[test]
    fn another_content_has_another_name() {
        let folder = folder();
        let before = site(&bound(), folder.path()).unwrap();
        let after = site(
            &Bound {
                wasm: b"\0asm1".to_vec(),
                ..bound()
            },
            folder.path(),
        )
        .unwrap();
        let name = |site: &Site, end: &str| {
            let mut paths = site.keys();
            paths.find(|path| path.ends_with(end)).unwrap().clone()
        };
        assert_ne!(name(&before, ".wasm"), name(&after, ".wasm"));
        // The script names the module, so it is another script.
        assert_ne!(before["index.html"], after["index.html"]);
        assert_eq!(name(&before, ".css"), name(&after, ".css"));
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        let folder = folder();
        fs::write(folder.path().join("index.html"), "{{nothing}}").unwrap();
        let error = site(&bound(), folder.path()).unwrap_err();
        assert!(error.to_string().contains("`nothing`"));
    }
}
