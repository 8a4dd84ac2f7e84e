//! Flags and variables.

use super::*;

#[test]
fn overrides_take_precedence_and_are_named_as_the_source() {
    let text = "[listener]\naddress = \"127.0.0.1:1\"\n[aws]\nregion = \"eu-west-1\"\n";
    let overrides = Overrides {
        listen: Some(Override::new("--listen", "127.0.0.1:2")),
        region: Some(Override::new("MWAA_GATEWAY_REGION", "us-east-1")),
        profile: Some(Override::new("--profile", "p")),
        management: Some(Override::new("--management", "[::1]:3")),
        ..Overrides::default()
    };
    let config = read(text.as_bytes(), &overrides).expect("config");
    assert_eq!(config.listener.address.to_string(), "127.0.0.1:2");
    assert_eq!(config.management.address.to_string(), "[::1]:3");
    assert_eq!(
        config.aws.region.as_ref().map(Region::as_str),
        Some("us-east-1")
    );
    assert_eq!(config.aws.profile.as_deref(), Some("p"));

    let overrides = Overrides {
        listen: Some(Override::new("MWAA_GATEWAY_LISTEN", "0.0.0.0:8080")),
        region: Some(Override::new("--region", "x@evil.example:443/#")),
        management: Some(Override::new("--management", "10.0.0.1:1")),
        ..Overrides::default()
    };
    let said = load(None, &overrides, &nowhere())
        .expect_err("problems")
        .to_string();
    let firsts: Vec<_> = said.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(
        firsts,
        [
            "--management: management.address: \"10.0.0.1:1\" is not a loopback address",
            "--region: aws.region: the value is not an AWS region",
            "MWAA_GATEWAY_LISTEN: listener.address: \"0.0.0.0:8080\" is not a loopback \
             address: anyone who can reach it acts with your AWS rights",
        ]
    );
}

#[test]
fn environment_flags_select_or_add_environments() {
    let text = "[environments.a]\nname = \"first\"\npolicy = \"all\"\n[environments.b]\n";
    let choose = |names: &[&str]| {
        let overrides = Overrides {
            environments: names
                .iter()
                .map(|n| Override::new("--environment", *n))
                .collect(),
            ..Overrides::default()
        };
        read(text.as_bytes(), &overrides).map(|config| {
            let pair = |e: &EnvironmentEntry| {
                format!("{}={}", e.environment.local, e.environment.name)
            };
            config
                .environments
                .iter()
                .map(pair)
                .collect::<Vec<_>>()
                .join(" ")
        })
    };
    assert_eq!(choose(&[]).as_deref(), Ok("a=first b=b"));
    assert_eq!(choose(&["b"]).as_deref(), Ok("b=b"));
    assert_eq!(choose(&["first", "b", "a"]).as_deref(), Ok("a=first b=b"));
    assert_eq!(
        choose(&["My_Env", "a"]).as_deref(),
        Ok("my-env=My_Env a=first")
    );
    for (names, reason) in [
        (&["env"][..], "is reserved"),
        (&["localhost"], "is reserved"),
        (&["1st"], "is not the name of an MWAA environment"),
        (&["a_"], "cannot be the label"),
        (&["a/../b"], "is not the name of an MWAA environment"),
        (
            &["x_y", "X-Y"],
            "\"x_y\" and \"X-Y\" get the same local name",
        ),
    ] {
        let said = choose(names).expect_err(reason).to_string();
        assert!(said.starts_with("--environment: environments"), "{said}");
        assert!(said.contains(reason), "{said}");
    }
}

/// What is not served needs no listener; a wrong name stays one.
#[test]
fn listeners_of_unselected_environments_are_dropped() {
    let text = "[listeners.one]\naddress = \"127.0.0.1:1\"\nenvironment = \"a\"\n\
                [listeners.two]\naddress = \"127.0.0.1:2\"\nenvironment = \"b\"\n\
                [listeners.all]\naddress = \"127.0.0.1:3\"\n[environments.a]\n[environments.b]\n";
    let overrides = Overrides {
        environments: vec![Override::new("--environment", "b")],
        ..Overrides::default()
    };
    let config = read(text.as_bytes(), &overrides).expect("config");
    let names: Vec<_> = config
        .listeners
        .iter()
        .map(|own| own.name.as_str())
        .collect();
    assert_eq!(names, ["two", "all"]);
    let text = text.replace("environment = \"a\"", "environment = \"c\"");
    let said = read(text.as_bytes(), &overrides)
        .expect_err("a problem")
        .to_string();
    assert!(said.contains("\"c\" is not an environment"), "{said}");
}
