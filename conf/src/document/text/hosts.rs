//! Hosts, addresses and what stands for them.

use super::{Flaw, Text, written_as_text};
use crate::policy::{AccessRule, Country, HostPattern, Scheme};
use ipnet::IpNet;
use std::net::IpAddr;

/// The most bytes of a host name (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// A host that a site answers for: a name, `*.name`, an address or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(pub HostPattern);

/// The name of a server, for SNI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerName(pub String);

/// A host and maybe a port, as in a `Host` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority(pub String);

/// Where an origin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginUrl {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A block of addresses (CIDR) or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block(pub IpNet);

/// A block of addresses, an address, or a country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client(pub AccessRule);

impl Text for Host {
    const FORMAT: &'static str = "latencify-host";
    const EXPECTED: &'static str = "a host like shop.example, *.shop.example or *";
    fn parse(text: &str) -> Result<Self, Flaw> {
        if text == "*" {
            return Ok(Self(HostPattern::Any));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let host = rest.split(['/', ':']).next().unwrap_or_default();
            return Err(Flaw::new(format!("`{scheme}://` is not part of a host"))
                .help(format!("write `{host}`")));
        }
        match text.strip_prefix("*.") {
            Some(rest) => match server_name(rest)? {
                name if name.parse::<IpAddr>().is_ok() => {
                    Err(Flaw::new(format!("`{text}`: addresses have no subdomains"))
                        .help(format!("write `{rest}`")))
                }
                name => Ok(Self(HostPattern::Under(format!(".{name}")))),
            },
            // As requests name it: an IPv6 literal keeps its brackets.
            None => Ok(Self(HostPattern::Exact(bracketed(&server_name(text)?)))),
        }
    }
}
written_as_text!(
    Host,
    "A host that the site answers for: a name, a wildcard `*.name` (one or more labels in front), an address, or `*` for every host that no other site names. No port.",
    ["shop.example", "*.shop.example", "*"]
);

impl Text for ServerName {
    const FORMAT: &'static str = "latencify-server-name";
    const EXPECTED: &'static str = "a host's name";
    fn parse(text: &str) -> Result<Self, Flaw> {
        server_name(text).map(Self)
    }
}
written_as_text!(ServerName, "The name of a server.", ["origin.example"]);

impl Text for Authority {
    const FORMAT: &'static str = "latencify-authority";
    const EXPECTED: &'static str = "a host's name, with a port if need be";
    fn parse(text: &str) -> Result<Self, Flaw> {
        let url = OriginUrl::parse(&format!("http://{text}")).map_err(|_| {
            Flaw::new(format!("`{text}` is not a host"))
                .help("like shop.internal or shop.internal:8080")
        })?;
        let host = bracketed(&url.host);
        Ok(Self(if url.port == 80 {
            host
        } else {
            format!("{host}:{}", url.port)
        }))
    }
}
written_as_text!(
    Authority,
    "The `Host` that the origin is asked for: a name, and a port if need be.",
    ["shop.internal", "shop.internal:8080"]
);

impl Text for OriginUrl {
    const FORMAT: &'static str = "latencify-origin-url";
    const EXPECTED: &'static str = "a URL like http://127.0.0.1:9001";
    fn parse(text: &str) -> Result<Self, Flaw> {
        let help =
            "like http://app.internal:8080, https://app.example or h2c://grpc.internal:50051";
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Flaw::new(format!("`{text}` has no scheme"))
                .help(format!("write `http://{text}` or `https://{text}`")));
        };
        let (scheme, default_port) = match scheme {
            "http" => (Scheme::Http, 80),
            "https" => (Scheme::Https, 443),
            "h2c" => (Scheme::H2c, 80),
            other => return Err(Flaw::new(format!("origins don't speak `{other}://`")).help(help)),
        };
        // The crate knows the rules of `http:`; they are those of the other two, the default port aside.
        let url = url::Url::parse(&format!("http://{rest}"))
            .map_err(|error| Flaw::new(format!("`{text}` is not a URL: {error}")).help(help))?;
        if !url.username().is_empty() || url.password().is_some() {
            let flaw = Flaw::new("an origin's URL has no user and password");
            return Err(flaw.help("set an `authorization` header with `request_headers`"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(
                Flaw::new(format!("`{text}` is more than scheme, host and port"))
                    .help("paths are changed by a route's `rewrite`"),
            );
        }
        let after_colon = rest
            .trim_end_matches('/')
            .rsplit_once(':')
            .filter(|(host, _)| !host.contains('[') || host.ends_with(']'));
        let port = match after_colon {
            Some((_, port)) => port
                .parse()
                .map_err(|_| Flaw::new(format!("`{port}` is not a port")).help("1 to 65535"))?,
            None => default_port,
        };
        if port == 0 {
            return Err(Flaw::new("port 0 is not a port").help("1 to 65535"));
        }
        let host = match url.host() {
            Some(url::Host::Ipv6(address)) => address.to_string(),
            Some(host) => server_name(&host.to_string())?,
            None => return Err(Flaw::new(format!("`{text}` has no host")).help(help)),
        };
        Ok(Self { scheme, host, port })
    }
}
written_as_text!(
    OriginUrl,
    "Where the origin is: `http://`, `https://` or `h2c://` (HTTP/2 in the clear, for gRPC), a host, and a port if need be.",
    ["http://127.0.0.1:9001", "https://app.example"]
);

impl Text for Block {
    const FORMAT: &'static str = "latencify-addresses";
    const EXPECTED: &'static str = "addresses like 10.0.0.0/8";
    fn parse(text: &str) -> Result<Self, Flaw> {
        let bad = || {
            Flaw::new(format!(
                "`{text}` is not an address or a block of addresses"
            ))
            .help("like 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32")
        };
        let block = match text.parse::<IpNet>() {
            Ok(block) => block,
            Err(_) => IpNet::from(text.parse::<IpAddr>().map_err(|_| bad())?),
        };
        if block.trunc() != block {
            let flaw = Flaw::new(format!("`{text}` has bits behind its prefix"));
            return Err(flaw.help(format!(
                "write `{}` for the block or `{}` for the address",
                block.trunc(),
                block.addr()
            )));
        }
        Ok(Self(block))
    }
}
written_as_text!(
    Block,
    "Addresses: a block (CIDR) or one address, IPv4 or IPv6.",
    ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]
);

impl Text for Client {
    const FORMAT: &'static str = "latencify-client";
    const EXPECTED: &'static str = "addresses like 10.0.0.0/8 or a country like FR";
    fn parse(text: &str) -> Result<Self, Flaw> {
        if text.contains(['.', ':', '/']) {
            return Block::parse(text).map(|Block(block)| Self(AccessRule::Address(block)));
        }
        match text.parse::<Country>() {
            Ok(country) => Ok(Self(AccessRule::Country(country))),
            Err(_) => Err(
                Flaw::new(format!("`{text}` is neither addresses nor a country"))
                    .help("like 10.0.0.0/8, or two letters of ISO 3166-1 like FR"),
            ),
        }
    }
}
written_as_text!(
    Client,
    "Clients: addresses (a block or one address) or a country by its two letters (ISO 3166-1).",
    ["10.0.0.0/8", "FR"]
);

/// A host name in ASCII and lower case, or an address.
fn server_name(text: &str) -> Result<String, Flaw> {
    let bad = |why: &str| {
        Flaw::new(format!("`{text}` is not a host: {why}")).help("like shop.example or 192.0.2.7")
    };
    let bare = text.strip_suffix('.').unwrap_or(text);
    let unbracketed = bare
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(bare);
    if let Ok(address) = unbracketed.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    if let Some((host, port)) = bare
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err(Flaw::new(format!(
            "a host has no port, but `{text}` ends with `:{port}`"
        ))
        .help(format!("write `{host}`")));
    }
    if bare.contains('*') {
        return Err(bad(
            "`*` stands alone or is the first label: `*.shop.example`",
        ));
    }
    let name = match url::Host::parse(bare) {
        Ok(url::Host::Domain(name)) => name,
        Ok(_) => return Err(bad("it can be mistaken for an address")),
        Err(error) => return Err(bad(&error.to_string())),
    };
    if bare.contains('%') {
        return Err(bad("`%` has no place in a name"));
    }
    if name.len() > HOST_BYTES_MAX {
        return Err(bad("it is longer than 253"));
    }
    if name
        .split('.')
        .any(|label| label.is_empty() || label.len() > 63)
    {
        return Err(bad("each label has 1 to 63 characters"));
    }
    Ok(name)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn hosts() {
        let good = [
            ("shop.example", "Exact(\"shop.example\")"),
            ("Shop.EXAMPLE.", "Exact(\"shop.example\")"),
            ("bücher.example", "Exact(\"xn--bcher-kva.example\")"),
            ("localhost", "Exact(\"localhost\")"),
            ("my_host", "Exact(\"my_host\")"),
            ("192.0.2.7", "Exact(\"192.0.2.7\")"),
            ("[2001:DB8::1]", "Exact(\"[2001:db8::1]\")"),
            ("::1", "Exact(\"[::1]\")"),
            ("*.Shop.example", "Under(\".shop.example\")"),
            ("*", "Any"),
        ];
        for (text, host) in good {
            check::<Host>(text, Ok(&format!("Host({host})")));
        }
        check::<Host>("", Err("is not a host"));
        check::<Host>("shop.example:80", Err("a host has no port"));
        check::<Host>("https://shop.example/x", Err("write `shop.example`"));
        check::<Host>("a.*.example", Err("first label"));
        check::<Host>("**.example", Err("first label"));
        check::<Host>("*shop.example", Err("first label"));
        check::<Host>("*.192.0.2.7", Err("no subdomains"));
        check::<Host>("1.2", Err("mistaken for an address"));
        check::<Host>("a..b", Err("label"));
        check::<Host>("a b", Err("is not a host"));
        check::<Host>("a%41", Err("is not a host"));
        check::<Host>("shop.example/x", Err("is not a host"));
        check::<Host>(&"a.".repeat(128), Err("longer than 253"));
    }

    #[test]
    fn origin_urls() {
        let good = [
            (
                "http://127.0.0.1:9001",
                "scheme: Http, host: \"127.0.0.1\", port: 9001",
            ),
            ("http://app", "scheme: Http, host: \"app\", port: 80"),
            ("http://app:80/", "scheme: Http, host: \"app\", port: 80"),
            (
                "https://app.example",
                "scheme: Https, host: \"app.example\", port: 443",
            ),
            (
                "https://app.example:80",
                "scheme: Https, host: \"app.example\", port: 80",
            ),
            (
                "h2c://grpc:50051",
                "scheme: H2c, host: \"grpc\", port: 50051",
            ),
            ("http://[::1]:81", "scheme: Http, host: \"::1\", port: 81"),
            ("https://[::1]", "scheme: Https, host: \"::1\", port: 443"),
            ("https://[::1]:80", "scheme: Https, host: \"::1\", port: 80"),
        ];
        for (text, url) in good {
            check::<OriginUrl>(text, Ok(&format!("OriginUrl {{ {url} }}")));
        }
        check::<OriginUrl>("127.0.0.1:9001", Err("has no scheme"));
        check::<OriginUrl>("ftp://a", Err("don't speak `ftp://`"));
        check::<OriginUrl>("http://a/b", Err("more than scheme"));
        check::<OriginUrl>("http://u:p@a", Err("no user and password"));
        check::<OriginUrl>("http://a:0", Err("port 0"));
        check::<OriginUrl>("http://a:65536", Err("is not a URL"));
        check::<OriginUrl>("http://", Err("is not a URL"));
        check::<Authority>(
            "Shop.internal:8080",
            Ok("Authority(\"shop.internal:8080\")"),
        );
        check::<Authority>("a/b", Err("is not a host"));
    }

    #[test]
    fn clients() {
        check::<Client>("10.0.0.0/8", Ok("Client(Address(10.0.0.0/8))"));
        check::<Client>("192.0.2.7", Ok("Client(Address(192.0.2.7/32))"));
        check::<Client>("::1", Ok("Client(Address(::1/128))"));
        check::<Client>("fr", Ok("Client(Country(Country([70, 82])))"));
        check::<Client>("10.0.0.1/8", Err("write `10.0.0.0/8`"));
        check::<Client>("10.0.0.0/33", Err("is not an address"));
        check::<Client>("France", Err("neither addresses nor a country"));
        check::<Block>("FR", Err("is not an address"));
    }
}
