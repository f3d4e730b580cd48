//! Where runs with `engine: ray` are trained, and how they reach us.
//!
//! A run's job on the cluster asks the backend for rewards, so both addresses
//! must be known before anything is started.

use url::{Host, Url};

use crate::Config;

/// The two addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RayTarget {
    /// Of the Jobs API: http or https, no trailing slash. It may hold a user and
    /// a password: not to be shown.
    pub address: Url,
    /// The same for people, with neither.
    pub shown: String,
    /// Of the backend, as the cluster's machines reach it; no trailing slash.
    pub callback: String,
}

/// Why nothing can be trained on Ray here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct RayUnset {
    /// The variable to set.
    pub setting: &'static str,
    pub reason: String,
}

const ADDRESS: &str = "RAY_ADDRESS";
const CALLBACK: &str = "ILLUMINE_PUBLIC_URL";

impl Config {
    /// # Errors
    /// [`RayUnset`], naming the setting that is missing or cannot be used.
    pub fn ray(&self) -> Result<RayTarget, RayUnset> {
        let named = self.ray_address.as_deref().map(str::trim).unwrap_or("");
        if named.is_empty() {
            return Err(unset(
                ADDRESS,
                "no Ray cluster is configured: give the address of its Jobs API, \
                 `http://host:8265`",
            ));
        }
        let address = http(named).ok_or_else(|| {
            unset(
                ADDRESS,
                "this is no address of Ray's Jobs API: give the dashboard's, \
                 `http://host:8265` (`auto`, `host:6379` and `ray://host:10001` are for \
                 Ray's own clients)",
            )
        })?;
        let callback = match self.public_url.as_deref().map(str::trim).unwrap_or("") {
            "" => self.callback_of_neighbour(&address)?,
            text => plain(&http(text).ok_or_else(|| {
                unset(
                    CALLBACK,
                    "this is no http or https address: give the one at which Ray's \
                     machines reach the backend",
                )
            })?),
        };
        Ok(RayTarget {
            shown: plain(&address),
            address,
            callback,
        })
    }

    /// A cluster on this machine reaches what listens on loopback.
    fn callback_of_neighbour(&self, ray: &Url) -> Result<String, RayUnset> {
        let is_near = match ray.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        if is_near && self.listen.ip().is_loopback() {
            return Ok(format!("http://{}", self.listen));
        }
        Err(unset(
            CALLBACK,
            "Ray's jobs ask the backend for rewards: give the address at which the \
             cluster's machines reach it, `https://illumine.example`",
        ))
    }
}

fn unset(setting: &'static str, reason: &str) -> RayUnset {
    RayUnset {
        setting,
        reason: reason.to_owned(),
    }
}

fn http(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(())?;
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

/// Without user, password and trailing slash.
fn plain(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail for URLs without a host alone.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(ray: Option<&str>, public: Option<&str>) -> Config {
        Config {
            ray_address: ray.map(str::to_owned),
            public_url: public.map(str::to_owned),
            ..Config::default()
        }
    }

    #[test]
    fn a_cluster_elsewhere_needs_an_address_of_ours() {
        let far = config(
            Some("https://user:word@ray.example:8265/"),
            Some("https://docs.example/"),
        );
        let target = far.ray().unwrap();
        assert_eq!(target.shown, "https://ray.example:8265");
        assert_eq!(target.callback, "https://docs.example");
        assert_eq!(target.address.password(), Some("word"));
        let unset = config(Some("http://ray.example:8265"), None).ray();
        assert_eq!(unset.unwrap_err().setting, "ILLUMINE_PUBLIC_URL");
        let wrong = config(Some("http://ray.example:8265"), Some("docs.example"));
        assert_eq!(wrong.ray().unwrap_err().setting, "ILLUMINE_PUBLIC_URL");
    }

    #[test]
    fn a_cluster_on_this_machine_reaches_loopback() {
        for near in [
            "http://127.0.0.1:8265",
            "http://localhost:8265",
            "http://[::1]:1",
        ] {
            let target = config(Some(near), None).ray().unwrap();
            assert_eq!(target.callback, "http://127.0.0.1:8080");
            assert_eq!(target.shown, near);
        }
        let mut open = config(Some("http://127.0.0.1:8265"), None);
        open.listen = "0.0.0.0:8080".parse().unwrap();
        assert_eq!(open.ray().unwrap_err().setting, "ILLUMINE_PUBLIC_URL");
    }

    #[test]
    fn addresses_of_rays_own_clients_are_told_apart() {
        for wrong in [
            None,
            Some(" "),
            Some("auto"),
            Some("10.0.0.1:6379"),
            Some("ray://h:10001"),
        ] {
            let refused = config(wrong, Some("http://us")).ray().unwrap_err();
            assert_eq!(refused.setting, "RAY_ADDRESS", "{wrong:?}");
            assert!(refused.reason.contains("http://host:8265"), "{refused}");
        }
    }
}
