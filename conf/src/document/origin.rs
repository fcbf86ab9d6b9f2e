//! Origins.

use super::{
    OneOrMany, SecretRef,
    text::{
        AbsolutePath, Authority, FilePath, HeaderName, Name, OriginUrl, ServerName, Statuses,
        Timeout,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

/// An origin: a server that content comes from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Scheme, host and port. A name is resolved again as its TTL says.
    pub url: OriginUrl,
    /// Where it stands. Clients are sent to the nearest healthy origin; one without a place comes last.
    pub place: Option<Place>,
    /// Its share among origins that are equally near. Default 1.
    #[schemars(range(min = 1, max = 65_535))]
    pub weight: Option<u32>,
    /// The `Host` that it is asked for. Default the client's.
    pub host: Option<Authority>,
    /// How its certificate is verified. Only for `https://`.
    pub tls: Option<Tls>,
    /// How requests to it are signed, so that it answers nobody else: as S3-compatible storage asks for it, or by a header that
    /// only edges know. What clients send in the signature's fields never reaches it.
    pub sign: Option<Sign>,
    /// Active health checks. Without them an origin is left out only after failed requests.
    pub health: Option<Health>,
}

/// A place on Earth.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Degrees north, −90 to 90.
    #[schemars(range(min = -90.0, max = 90.0))]
    pub latitude: f64,
    /// Degrees east, −180 to 180.
    #[schemars(range(min = -180.0, max = 180.0))]
    pub longitude: f64,
}

/// How an origin's certificate is verified.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The name asked for by SNI and verified. Default the URL's host.
    pub sni: Option<ServerName>,
    /// A PEM file on the edge with the CAs that are trusted instead of the system's.
    pub ca: Option<FilePath>,
    /// `true` accepts any certificate. For tests.
    pub insecure: bool,
    /// The certificate that edges show to it (mutual TLS).
    pub client: Option<ClientCertificate>,
}

/// A client certificate and its key, in PEM.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The secret that holds the certificate, then its intermediates.
    pub certificate: SecretRef,
    /// The secret that holds the private key.
    pub key: SecretRef,
}

/// How requests to an origin are signed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// By AWS Signature Version 4, as S3-compatible storage asks for it.
    AwsV4(AwsV4),
    /// By a header whose value only edges and the origin know.
    Header(SecretHeader),
}

/// AWS Signature Version 4. Bodies are not part of the signature (`UNSIGNED-PAYLOAD`); only S3 and what is compatible with it
/// takes requests with a body so. Every request that a route lets through is signed, with its query: give the key no rights but
/// those that clients may use.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsV4 {
    /// The region of the signature: `eu-west-1`, `auto`.
    pub region: Name,
    /// The service of the signature. Default `s3`.
    pub service: Option<Name>,
    /// The secret that holds the id of the access key.
    pub access_key: SecretRef,
    /// The secret that holds the secret access key.
    pub secret_key: SecretRef,
    /// The secret that holds the session token, for keys that expire.
    pub session_token: Option<SecretRef>,
}

/// A header that only edges and the origin know.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretHeader {
    /// Its name, like `x-origin-key`.
    pub name: HeaderName,
    /// The secret that holds its value.
    pub value: SecretRef,
}

/// An active health check: a GET on a timer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// Path and query asked for. Default `/`.
    pub path: Option<AbsolutePath>,
    /// From the end of one check to the start of the next. Default 5s.
    pub interval: Option<Timeout>,
    /// A check that takes longer has failed. Default 2s.
    pub timeout: Option<Timeout>,
    /// So many good checks in a row make an unhealthy origin healthy. Default 2.
    #[schemars(range(min = 1, max = 1_000))]
    pub healthy_after: Option<u32>,
    /// So many failed checks in a row make a healthy origin unhealthy. Default 3.
    #[schemars(range(min = 1, max = 1_000))]
    pub unhealthy_after: Option<u32>,
    /// The status codes that are good. Default `2xx`.
    pub expect: Option<OneOrMany<StatusItem>>,
}

/// A status code, a class of them or a range.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum StatusItem {
    /// One code.
    Code(#[schemars(range(min = 100, max = 599))] u16),
    /// `2xx` or `200-204`.
    Statuses(Statuses),
}
