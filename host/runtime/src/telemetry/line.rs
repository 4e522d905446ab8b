//! One point as a line of InfluxDB's protocol. Names and tags are chosen by guests, so whatever the protocol has no way to
//! write, or servers read differently, is replaced: no name can end its line, hide a tag, or make one.

use std::fmt::Write as _;

use super::{FieldValue, Point};

/// Times that a server takes.
const EARLIEST: i64 = i64::MIN + 2;
const LATEST: i64 = i64::MAX - 1;

/// Which characters a backslash protects, beside the space.
#[derive(Clone, Copy)]
enum Place {
    Measurement,
    Name,
}

/// The line without its end; none when no field of the point can be written. `now`: nanoseconds since the Unix epoch.
pub(super) fn line(point: &Point, now: i64) -> Option<String> {
    let mut line = String::with_capacity(256);
    // A line that begins with # is a comment.
    if point.name.starts_with('#') {
        line.push('_');
        push_name(&mut line, &point.name[1..], Place::Measurement);
    } else {
        push_name(&mut line, &point.name, Place::Measurement);
    }
    let mut seen = Vec::with_capacity(point.tags.len());
    // From the last: the host's own tags stand there, and of two that are the same by now, they count.
    for (name, value) in point.tags.iter().rev() {
        let name = key(name);
        // A tag without a value is none.
        if value.is_empty() || seen.contains(&name) {
            continue;
        }
        line.push(',');
        line.push_str(&name);
        line.push('=');
        push_name(&mut line, value, Place::Name);
        seen.push(name);
    }
    let mut between = ' ';
    seen.clear();
    for (name, value) in &point.fields {
        let name = key(name);
        if seen.contains(&name) || matches!(value, FieldValue::Float(number) if !number.is_finite()) {
            continue;
        }
        line.push(between);
        between = ',';
        line.push_str(&name);
        line.push('=');
        push_value(&mut line, value);
        seen.push(name);
    }
    if seen.is_empty() {
        return None;
    }
    // Writing to a String does not fail.
    let _ = write!(line, " {}", point.time.unwrap_or(now).clamp(EARLIEST, LATEST));
    Some(line)
}

/// A tag's or field's name. `time` is the line's own.
fn key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    push_name(&mut key, name, Place::Name);
    if key == "time" {
        key.push('_');
    }
    key
}

fn push_name(line: &mut String, name: &str, place: Place) {
    let special = |c: char| matches!(c, ' ' | ',') || (c == '=' && matches!(place, Place::Name)) || c.is_control();
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            // Before what is protected, or at the end, servers differ on what a backslash does.
            '\\' if rest.peek().is_none_or(|next| special(*next) || *next == '\\') => line.push('/'),
            // There is no way to write them.
            c if c.is_control() => line.push_str("\\ "),
            c if special(c) => line.extend(['\\', c]),
            c => line.push(c),
        }
    }
}

fn push_value(line: &mut String, value: &FieldValue) {
    // Writing to a String does not fail.
    let _ = match value {
        // With an exponent where it is long.
        FieldValue::Float(number) => write!(line, "{number:?}"),
        FieldValue::Signed(number) => write!(line, "{number}i"),
        // Servers have no unsigned numbers unless built for them.
        FieldValue::Unsigned(number) => match i64::try_from(*number) {
            Ok(number) => write!(line, "{number}i"),
            Err(_) => write!(line, "{:?}", *number as f64),
        },
        FieldValue::Boolean(yes) => write!(line, "{yes}"),
        FieldValue::Text(text) => {
            line.push('"');
            for c in text.chars() {
                if matches!(c, '"' | '\\') {
                    line.push('\\');
                }
                line.push(c);
            }
            line.push('"');
            Ok(())
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(name: &str, fields: &[(&str, FieldValue)], tags: &[(&str, &str)]) -> Point {
        Point {
            name: name.to_owned(),
            fields: fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            time: Some(5),
        }
    }

    fn one(name: &str, tags: &[(&str, &str)]) -> String {
        line(&point(name, &[("f", FieldValue::Signed(1))], tags), 0).unwrap()
    }

    #[test]
    fn every_kind_of_value_is_written_as_the_server_reads_it() {
        let fields = [
            ("float", FieldValue::Float(1.5)),
            ("huge", FieldValue::Float(1e300)),
            ("whole", FieldValue::Float(2.0)),
            ("signed", FieldValue::Signed(-3)),
            ("unsigned", FieldValue::Unsigned(3)),
            ("too large", FieldValue::Unsigned(u64::MAX)),
            ("yes", FieldValue::Boolean(true)),
            ("text", FieldValue::Text("a \"b\"\\, c=1\nd".into())),
        ];
        assert_eq!(
            line(&point("m", &fields, &[("version", "v1")]), 0).unwrap(),
            "m,version=v1 float=1.5,huge=1e300,whole=2.0,signed=-3i,unsigned=3i,too\\ large=1.8446744073709552e19,\
             yes=true,text=\"a \\\"b\\\"\\\\, c=1\nd\" 5"
        );
    }

    #[test]
    fn the_time_is_the_points_or_now_and_always_one_that_a_server_takes() {
        let fields = [("f", FieldValue::Boolean(false))];
        let at = |time| line(&Point { time, ..point("m", &fields, &[]) }, 7).unwrap();
        assert_eq!(at(None), "m f=false 7");
        assert_eq!(at(Some(i64::MIN)), "m f=false -9223372036854775806");
        assert_eq!(at(Some(i64::MAX)), "m f=false 9223372036854775806");
    }

    #[test]
    fn no_name_ends_its_line_hides_a_tag_or_makes_one() {
        let own = ("node", "etl");
        for (name, tags, expected) in [
            ("a b,c=d", vec![own], r"a\ b\,c=d,node=etl f=1i 5"),
            ("m\nevil f=9i", vec![own], r"m\ evil\ f=9i,node=etl f=1i 5"),
            ("#comment", vec![own], "_comment,node=etl f=1i 5"),
            ("m\\", vec![own], "m/,node=etl f=1i 5"),
            ("m", vec![("t", "x\\"), own], "m,node=etl,t=x/ f=1i 5"),
            ("m", vec![("t", "x\\,node=me"), own], r"m,node=etl,t=x/\,node\=me f=1i 5"),
            ("m", vec![("t", "x\\\\ f=2i"), own], r"m,node=etl,t=x//\ f\=2i f=1i 5"),
            ("m", vec![("t", "C:\\temp"), own], r"m,node=etl,t=C:\temp f=1i 5"),
            ("m", vec![("a=b c", "d=e f"), own], r"m,node=etl,a\=b\ c=d\=e\ f f=1i 5"),
            ("m", vec![("node", "me"), own], "m,node=etl f=1i 5"),
            ("m", vec![("empty", ""), own], "m,node=etl f=1i 5"),
            ("m", vec![("time", "now"), own], "m,node=etl,time_=now f=1i 5"),
            ("m", vec![("t", "\r\n\0\t"), own], r"m,node=etl,t=\ \ \ \  f=1i 5"),
            ("m", vec![("t", "\"quoted\" 'ä'"), own], "m,node=etl,t=\"quoted\"\\ 'ä' f=1i 5"),
        ] {
            assert_eq!(one(name, &tags), expected, "{name:?} {tags:?}");
        }
    }

    #[test]
    fn a_field_that_cannot_be_written_is_left_out_and_a_point_without_any_is_none() {
        let nan = FieldValue::Float(f64::NAN);
        let fields = [("nan", nan.clone()), ("a", FieldValue::Signed(1)), ("a", FieldValue::Signed(2))];
        assert_eq!(line(&point("m", &fields, &[]), 0).unwrap(), "m a=1i 5");
        assert_eq!(line(&point("m", &[("nan", nan)], &[]), 0), None);
    }
}
