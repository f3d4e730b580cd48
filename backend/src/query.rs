//! Query parameters, read by hand so that every mistake names its parameter.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::Query;

use crate::error::{ApiError, Result};

/// The parameters of one request, each at most once.
#[derive(Debug)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// # Errors
    /// `invalid_query` for a parameter that is not known here or is repeated.
    pub fn read(request: &HttpRequest, known: &[&str]) -> Result<Self> {
        let pairs = Query::<Vec<(String, String)>>::from_query(request.query_string())
            .map_err(|_| ApiError::query("query", "the query is not `name=value&…`"))?;
        let mut parameters = BTreeMap::new();
        for (name, value) in pairs.into_inner() {
            if !known.contains(&name.as_str()) {
                let name: String = name.chars().take(64).collect();
                let detail = format!(
                    "there is no parameter `{name}`: known are {}",
                    known.join(", ")
                );
                return Err(ApiError::query(name, detail));
            }
            if parameters.insert(name.clone(), value).is_some() {
                return Err(ApiError::query(name, "this parameter is given twice"));
            }
        }
        Ok(Self(parameters))
    }

    /// An absent and an empty parameter are the same.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// # Errors
    /// `invalid_query` unless `read` understands the text.
    pub fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match read(text) {
            Some(value) => Ok(Some(value)),
            None => Err(ApiError::query(name, format!("expected {expected}"))),
        }
    }

    /// `limit`, 1 to 200; 50 if it is not given.
    ///
    /// # Errors
    /// `invalid_query`.
    pub fn limit(&self) -> Result<usize> {
        let limit = self.parsed("limit", "a number from 1 to 200", |text| {
            text.parse().ok().filter(|limit| (1..=200).contains(limit))
        })?;
        Ok(limit.unwrap_or(50))
    }
}

/// What a parameter of few words expects, for [`Parameters::parsed`].
#[must_use]
pub fn one_of<const N: usize>(words: [&str; N]) -> String {
    format!("one of {}", words.join(", "))
}
