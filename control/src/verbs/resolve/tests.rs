use super::*;
use latencify_conf::{
    bundle::Bundle,
    validate::{SiteIds, validate},
};

/// A policy of sites with their ids and hosts.
fn policy(sites: &[(&str, u64, &str)]) -> Arc<Policy> {
    let lines: Vec<_> = sites
        .iter()
        .map(|(name, _, hosts)| {
            format!(
                "  {name}: {{ hosts: [{hosts}], routes: [{{ origins: [app], cache: true }}] }}\n"
            )
        })
        .collect();
    let lines = lines.concat();
    let text =
        format!("version: 1\norigins:\n  app: {{ url: \"http://127.0.0.1:9\" }}\nsites:\n{lines}");
    let ids = sites
        .iter()
        .map(|(name, id, _)| ((*name).to_owned(), SiteId(*id)))
        .collect();
    Arc::new(validate(&Bundle::single("p.yaml", text), &SiteIds::from_map(ids)).unwrap())
}

fn head() -> Arc<Policy> {
    policy(&[
        ("shop", 1, "shop.example, \"*.shop.example\""),
        ("news", 2, "news.example"),
    ])
}

fn url(site: u64, path: &str) -> Target {
    Target::Url {
        site: SiteId(site),
        path: path.into(),
    }
}

/// The normal forms of paths of the first site, each once.
fn forms(paths: &[&str]) -> Vec<Target> {
    let targets: BTreeSet<_> = paths
        .iter()
        .map(|path| url(1, &path::normalise(path)))
        .collect();
    targets.into_iter().collect()
}

fn prefix(site: u64, path: &str) -> Target {
    Target::Prefix {
        site: SiteId(site),
        path: path.into(),
    }
}

fn tag(site: u64, tag: &str) -> Target {
    Target::Tag {
        site: SiteId(site),
        tag: tag.into(),
    }
}

fn in_use(policies: &[Arc<Policy>]) -> InUse {
    InUse {
        policies: policies.to_vec(),
        unread: Vec::new(),
    }
}

fn check(policies: &[Arc<Policy>], target: PurgeTarget, expected: &[Target]) {
    assert_eq!(
        resolve(std::slice::from_ref(&target), &in_use(policies)).as_deref(),
        Ok(expected),
        "{target:?}"
    );
}

#[test]
fn names_become_sites_and_normal_paths() {
    use PurgeTarget::{All, Prefix, Site, Tag, Url};
    let named = |tag: &str, site: Option<&str>| Tag {
        tag: tag.into(),
        site: site.map(str::to_owned),
    };
    let cases = [
        (
            Url("https://shop.example/a?x=1#f".into()),
            vec![url(1, "/a")],
        ),
        (Url("http://SHOP.example:8080/a".into()), vec![url(1, "/a")]),
        (Url("https://shop.example.".into()), vec![url(1, "/")]),
        (
            Url("https://deep.cdn.shop.example/a/../b/%7Ec".into()),
            vec![url(1, "/b/~c")],
        ),
        (Url("https://shop.example?q".into()), vec![url(1, "/")]),
        (
            Url("https://user@news.example/%e4".into()),
            vec![url(2, "/%E4")],
        ),
        // As written, and as a browser would send it.
        (
            Url("https://shop.example/{x}".into()),
            forms(&["/%7Bx%7D", "/{x}"]),
        ),
        (
            Url("https://shop.example/a b".into()),
            forms(&["/a b", "/a%20b"]),
        ),
        (
            Prefix("https://shop.example/img/".into()),
            vec![prefix(1, "/img/")],
        ),
        (named("t", None), vec![tag(1, "t"), tag(2, "t")]),
        (named("t", Some("news")), vec![tag(2, "t")]),
        (Site("shop".into()), vec![Target::Site { site: SiteId(1) }]),
        (All(true), vec![Target::All]),
    ];
    for (target, expected) in cases {
        check(&[head()], target, &expected);
    }
}

#[test]
fn a_host_means_its_site_in_every_policy_that_an_edge_may_run() {
    let older = policy(&[("all", 7, "\"*\""), ("shop", 3, "old.example")]);
    let both = [head(), older];
    check(
        &both,
        PurgeTarget::Url("https://shop.example/a".into()),
        &[url(1, "/a"), url(7, "/a")],
    );
    check(
        &both,
        PurgeTarget::Url("https://old.example/a".into()),
        &[url(3, "/a")],
    );
    check(
        &both,
        PurgeTarget::Site("shop".into()),
        &[
            Target::Site { site: SiteId(1) },
            Target::Site { site: SiteId(3) },
        ],
    );
}

#[test]
fn an_address_in_brackets_is_a_host_like_any_other() {
    let policies = [policy(&[
        ("address", 1, "\"[::1]\", \"127.0.0.1\""),
        ("others", 2, "\"*\""),
    ])];
    for (host, site) in [
        ("[::1]", 1),
        ("[::1]:8443", 1),
        ("[0:0:0:0:0:0:0:1]", 1),
        ("127.0.0.1:8080", 1),
        ("[::2]", 2),
    ] {
        let target = PurgeTarget::Url(format!("http://{host}/a"));
        check(&policies, target, &[url(site, "/a")]);
    }
}

#[test]
fn an_older_revision_that_cannot_be_read_widens_what_is_purged() {
    let names = InUse {
        policies: vec![head()],
        unread: vec![BTreeMap::from([
            ("shop".to_owned(), SiteId(8)),
            ("gone".to_owned(), SiteId(9)),
        ])],
    };
    let cases = [
        (
            PurgeTarget::Url("https://news.example/a".into()),
            vec![url(2, "/a"), url(8, "/a"), url(9, "/a")],
        ),
        (
            PurgeTarget::Prefix("https://nobody.example/a".into()),
            vec![prefix(8, "/a"), prefix(9, "/a")],
        ),
        (
            PurgeTarget::Tag {
                tag: "t".into(),
                site: None,
            },
            [1, 2, 8, 9].map(|site| tag(site, "t")).to_vec(),
        ),
        (
            PurgeTarget::Site("shop".into()),
            [1, 8]
                .map(|site| Target::Site { site: SiteId(site) })
                .to_vec(),
        ),
        (
            PurgeTarget::Site("gone".into()),
            vec![Target::Site { site: SiteId(9) }],
        ),
    ];
    for (target, expected) in cases {
        assert_eq!(resolve(&[target], &names), Ok(expected));
    }
}

#[test]
fn what_no_policy_knows_is_refused_with_the_nearest_name() {
    use PurgeTarget::{All, Site, Tag, Url};
    let unknown_host = |host: &str, nearest: Option<&str>| Why::UnknownHost {
        host: host.into(),
        nearest: nearest.map(str::to_owned),
    };
    let cases = [
        (Url("/a".into()), Why::NotAUrl("/a".into())),
        (
            Url("ftp://shop.example/a".into()),
            Why::NotAUrl("ftp://shop.example/a".into()),
        ),
        (
            Url("https://shop.exampel/a".into()),
            unknown_host("shop.exampel", Some("shop.example")),
        ),
        (Url("https://zzz/".into()), unknown_host("zzz", None)),
        (
            Url(format!(
                "https://shop.example/{}",
                "x".repeat(NAMED_BYTES_MAX)
            )),
            Why::Length,
        ),
        (
            Site("shpo".into()),
            Why::UnknownSite {
                site: "shpo".into(),
                nearest: Some("shop".into()),
            },
        ),
        (
            Tag {
                tag: String::new(),
                site: None,
            },
            Why::TagLength,
        ),
        (
            Tag {
                tag: "x".repeat(TAG_BYTES_MAX + 1),
                site: None,
            },
            Why::TagLength,
        ),
        (All(false), Why::NotAll),
    ];
    for (target, why) in cases {
        let targets = [All(true), target];
        assert_eq!(
            resolve(&targets, &in_use(&[head()])),
            Err(Unresolved { index: 1, why }),
            "{:?}",
            targets[1]
        );
    }
    let nothing = Unresolved {
        index: 0,
        why: Why::NoPolicy,
    };
    for target in [
        Url("https://shop.example/".into()),
        Site("shop".into()),
        Tag {
            tag: "t".into(),
            site: None,
        },
    ] {
        assert_eq!(resolve(&[target], &in_use(&[])), Err(nothing.clone()));
    }
    check(&[], All(true), &[Target::All]);
    let many: Vec<_> = (0..600)
        .map(|n| Tag {
            tag: n.to_string(),
            site: None,
        })
        .collect();
    assert_eq!(
        resolve(&many, &in_use(&[head()])).unwrap_err().why,
        Why::TooMany,
        "two sites each"
    );
}
