use super::*;
use expect_test::expect;
use serde_json::json;

fn eval(source: &str, object: Value) -> Result<Value, String> {
    let expression = Expression::compile(source, &["object"]).map_err(|error| error.message)?;
    expression.eval(&Scope::new(BTreeMap::from([("object", object)]))?)
}

#[test]
fn expressions_of_everyday_rules_evaluate() {
    let object = json!({"name": "churn/2026/a.parquet", "size": 12, "metadata": {"team": "ml"}});
    let cases = [
        ("object.size > 0 && !object.name.contains('/_tmp/')", json!(true)),
        ("object.name.split('/')[1]", json!("2026")),
        ("object.size + 1", json!(13)),
        ("has(object.metadata.team) && object.metadata.team == 'ml'", json!(true)),
        ("object.?metadata.?owner.orValue('nobody')", json!("nobody")),
        ("object.name.matches('^churn/[0-9]+/')", json!(true)),
        ("object.name.split('/').exists(part, part == '2026')", json!(true)),
        ("int(object.name.split('/')[1]) % 2 == 0", json!(true)),
    ];
    for (source, wanted) in cases {
        assert_eq!(eval(source, object.clone()), Ok(wanted), "{source}");
    }
}

#[test]
fn what_is_not_known_is_refused_with_its_place() {
    let error = Expression::compile("object.size > nope", &["object"]).unwrap_err();
    assert_eq!((error.offset, error.message.contains("`nope`")), (14, true), "{error:?}");
    let error = Expression::compile("object.size >", &["object"]).unwrap_err();
    assert_eq!(error.offset, 13, "{error:?}");
    for source in ["object.name == 'gr\u{f6}\u{df}e \u{1f600}' && nope", "'\u{f6}\u{1f600}' nope"] {
        let error = Expression::compile(source, &["object"]).unwrap_err();
        assert_eq!(source.get(error.offset..), Some("nope"), "{error:?}");
    }
    for source in
        ["false && object.frob()", "object.name.replace('a', 'b') == ''", "", "   ", "Thing{}"]
    {
        assert!(Expression::compile(source, &["object"]).is_err(), "{source}");
    }
}

#[test]
fn bombs_are_refused_when_the_rule_file_is_read() {
    let brackets = format!("{}1{}", "(".repeat(400), ")".repeat(400));
    let deep = format!("{}1{}", "(".repeat(60), ")".repeat(60));
    let chain = vec!["1"; 1500].join("+");
    let long = format!("'{}' == ''", "x".repeat(5000));
    let doubling =
        "[object.name].map(x, x+x).map(x, x+x).map(x, x+x+x+x+x+x+x).map(x, x+x+x+x+x+x+x+x+x+x)";
    let cubed = "object.l.map(a, object.l.map(b, object.l.map(c, 1)))";
    let squared = "object.l.exists(a, object.l.exists(b, a == b))";
    let short = "[1].all(a, [1].all(b, [1].all(c, a == b)))";
    for source in [
        &brackets,
        &deep,
        &chain,
        &long,
        doubling,
        cubed,
        squared,
        short,
        "'a'.matches(object.name)",
    ] {
        assert!(Expression::compile(source, &["object"]).is_err(), "{:.60}", source);
    }
    for source in ["[1].all(a, [1].all(b, a == b))", "[1].map(a, a).map(a, a).map(a, a) == [1]"] {
        Expression::compile(source, &["object"]).unwrap();
    }
}

#[test]
fn the_largest_expression_that_passes_fits_a_small_stack() {
    let chain = |length: usize| vec!["1"; length].join("+");
    let nested = |length: usize| format!("{}1{}", "[".repeat(length), "]".repeat(length));
    let forms: [fn(usize) -> String; 2] = [chain, nested];
    for form in forms {
        let compiled = |length: usize| Expression::compile(&form(length), &[]).ok();
        let largest = (1..=OPERATORS_MAX).map_while(compiled).last().unwrap();
        assert!(compiled(OPERATORS_MAX).is_none(), "it is the bound that ends it");
        let evaluate = move || largest.eval(&Scope::new(BTreeMap::new()).unwrap()).unwrap();
        let small = std::thread::Builder::new().stack_size(256 << 10);
        small.spawn(evaluate).unwrap().join().unwrap();
    }
}

#[test]
fn a_scope_is_bounded() {
    let long = json!({"l": vec![0; LIST_ITEMS_MAX + 1]});
    assert!(eval("true", long).is_err());
    let large = json!({"l": vec!["x".repeat(1000); 100]});
    assert!(eval("true", large).is_err());
    let wide = json!({"s": "x".repeat(STRING_BYTES_MAX + 1), "n": 1});
    assert_eq!(eval("has(object.s)", wide.clone()), Ok(json!(false)));
    assert_eq!(eval("object.n", wide), Ok(json!(1)));
}

#[test]
fn an_expression_says_which_fields_it_uses() {
    let expression = Expression::compile("size(batch.uris) > 0", &["batch"]).unwrap();
    assert!(expression.uses("batch", "uris"));
    assert!(!expression.uses("batch", "count"));
    for source in ["batch['uris'] == []", "batch.?uris.orValue([]) == []", "has(batch.uris)"] {
        let expression = Expression::compile(source, &["batch"]).unwrap();
        assert!(expression.uses("batch", "uris"), "{source}");
    }
}

#[test]
fn a_mismatch_is_what_other_values_would_meet_as_well() {
    let sample = Scope::new(BTreeMap::from([("object", json!({"size": 0, "name": "a"}))])).unwrap();
    let mismatch = |source: &str| {
        let expression = Expression::compile(source, &["object"]).unwrap();
        expression.mismatch(&sample).is_some()
    };
    for source in ["object.size > 'x'", "object.size + object.name == 'a'"] {
        assert!(mismatch(source), "{source}");
    }
    for source in [
        "object.size > 1",
        "1 / object.size == 0",
        "object.name.split('/')[7] == ''",
        "{'b': true}[object.name]",
    ] {
        assert!(!mismatch(source), "{source}");
    }
}

#[test]
fn what_goes_wrong_is_said_without_the_values() {
    let object = json!({ "canary-1": "canary-2", "canary-3": [1, 2] });
    let said = |source: &&str| {
        let error = eval(source, object.clone()).unwrap_err();
        assert!(!error.contains("canary"), "{error}");
        format!("{source}: {error}\n")
    };
    let sources = [
        "object % 3",
        "-object == object",
        "object < object",
        "{'a': 1}[object]",
        "[1][object]",
        "[1][7]",
        "object.contains('a')",
        "int(object)",
        "1 / 0",
        "9223372036854775807 + 1",
    ];
    expect![[r#"
        object % 3: `rem` does not take a map and an int
        -object == object: found no matching overload for '-_' applied to '(map)'
        object < object: found no matching overload for '_<_' applied to '(map, map)'
        {'a': 1}[object]: found no matching overload for '_[_]' applied to '(map, map)'
        [1][object]: found no matching overload for '_[_]' applied to '(list, map)'
        [1][7]: a list has no such place
        object.contains('a'): found no matching overload for 'contains' applied to 'map.(string)'
        int(object): found no matching overload for 'int' applied to '(map)'
        1 / 0: a division by zero
        9223372036854775807 + 1: the result of `add` is too large
    "#]]
    .assert_eq(&sources.iter().map(said).collect::<String>());
}

#[test]
fn a_result_that_is_no_answer_is_an_error() {
    let expression = Expression::compile("1 + 1", &[]).unwrap();
    let scope = Scope::new(BTreeMap::new()).unwrap();
    assert!(expression.eval_bool(&scope).unwrap_err().contains("neither true nor false"));
}
