//! The query string of a request, and what the exchange says about a bad one.

use klagg_kline::{Period, UnixMillis};

use super::Refused;

/// Parameters beyond which none is read.
const PARAMETERS_MAX: usize = 32;

/// Decoded parameters, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn of_query(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).take(PARAMETERS_MAX);
        let split = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (
                crate::server::streams::percent_decoded(key),
                crate::server::streams::percent_decoded(value),
            )
        };
        Self(pairs.map(split).collect())
    }

    /// A parameter that is there and not empty.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(crate) fn required(&self, key: &str) -> Result<&str, Refused> {
        self.get(key).ok_or_else(|| {
            let message =
                format!("Mandatory parameter '{key}' was not sent, was empty/null, or malformed.");
            Refused::new(-1102, message)
        })
    }

    /// A symbol or pair: lower case is taken as well.
    pub(crate) fn symbol(&self, key: &str) -> Result<String, Refused> {
        self.required(key).map(str::to_ascii_uppercase)
    }

    pub(crate) fn integer(&self, key: &str) -> Result<Option<i64>, Refused> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Some).ok_or_else(|| {
            let message = format!(
                "Illegal characters found in parameter '{key}'; legal range is '^[0-9]{{1,20}}$'."
            );
            Refused::new(-1100, message)
        })
    }

    pub(crate) fn limit(&self, usual: usize, most: usize) -> Result<usize, Refused> {
        let limit = self.integer("limit")?;
        let Some(limit) = limit else { return Ok(usual) };
        usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=most).contains(limit))
            .ok_or_else(|| Refused::new(-1130, "Data sent for parameter 'limit' is not valid."))
    }

    pub(crate) fn period(&self) -> Result<Period, Refused> {
        let interval = self.required("interval")?;
        interval.parse().map_err(|_| Refused::new(-1120, "Invalid interval."))
    }

    /// `startTime` and `endTime`.
    pub(crate) fn times(&self) -> Result<(Option<UnixMillis>, Option<UnixMillis>), Refused> {
        let from = self.integer("startTime")?.map(UnixMillis);
        let to = self.integer("endTime")?.map(UnixMillis);
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(Refused::new(-1023, "Start time is greater than end time."));
        }
        Ok((from, to))
    }
}
