//! One TLS configuration for REST and streams: rustls with ring, the roots of Mozilla compiled in,
//! so that it works in an empty container.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::BinanceError;
use crate::address::Scheme;

/// The shared TLS configuration. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

impl Tls {
    /// TLS 1.2 and 1.3 with the roots of `webpki-roots`.
    ///
    /// # Errors
    /// [`BinanceError::Tls`] if the provider supports none of the protocol versions.
    pub fn new() -> Result<Self, BinanceError> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(BinanceError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }

    /// For an own set of roots, such as those of a test.
    pub fn from_config(config: Arc<ClientConfig>) -> Self {
        Self { config }
    }

    /// What all clients for requests have in common: nothing but this TLS where the address is
    /// encrypted, no redirects, no proxy.
    pub(crate) fn http(&self, scheme: Scheme) -> reqwest::ClientBuilder {
        let mut rustls = ClientConfig::clone(&self.config);
        rustls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .https_only(scheme == Scheme::Encrypted)
            .no_proxy()
            .tls_backend_preconfigured(rustls)
    }

    /// The shared one for streams.
    pub(crate) fn for_streams(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}
