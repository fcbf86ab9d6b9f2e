//! What a plain scalar means (YAML 1.2.2 §10.3.2, core schema).

use super::Value;

/// The value of a plain scalar.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::Text(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let integer = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(hex), _) => i64::from_str_radix(hex, 16).ok(),
        (_, Some(octal)) => i64::from_str_radix(octal, 8).ok(),
        (None, None) => text.parse().ok(),
    };
    if let Some(value) = integer {
        return Some(Value::Integer(value, text.to_owned()));
    }
    let is_float = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let value = text
        .parse::<f64>()
        .ok()
        .filter(|value| is_float && value.is_finite())?;
    Some(Value::Float(value, text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let cases = [
            ("", "Null"),
            ("~", "Null"),
            ("true", "Bool(true)"),
            ("no", "Text(\"no\")"),
            ("NO", "Text(\"NO\")"),
            ("12", "Integer(12, \"12\")"),
            ("-3", "Integer(-3, \"-3\")"),
            ("0x1F", "Integer(31, \"0x1F\")"),
            ("0o17", "Integer(15, \"0o17\")"),
            ("1.5", "Float(1.5, \"1.5\")"),
            ("1e3", "Float(1000.0, \"1e3\")"),
            ("30s", "Text(\"30s\")"),
            ("10.0.0.0/8", "Text(\"10.0.0.0/8\")"),
            ("1.2.3", "Text(\"1.2.3\")"),
            ("-", "Text(\"-\")"),
            ("::1", "Text(\"::1\")"),
            ("infinity", "Text(\"infinity\")"),
            (
                "99999999999999999999",
                "Float(1e20, \"99999999999999999999\")",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(format!("{:?}", resolve(text)), expected, "{text:?}");
        }
    }
}
