//! Logs as Cloud Logging reads them: one JSON object per line, with severity, message, fields and trace.
//!
//! Event data is quoted, never interpreted: control characters are escaped, long values are cut, and no value takes the
//! place of what the function says of itself.

use std::fmt;

use refit_core::error::{Error, ErrorKind};
use refit_platform::env;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::trace::Trace;

/// Characters of one value.
const VALUE_MAX: usize = 256;

/// Begins logging, for the rest of the process, under the name of the function.
///
/// # Errors
/// `Invalid` if `REFIT_LOG` is not a filter.
pub fn begin(service: &'static str) -> Result<(), Error> {
    let text = env::var("REFIT_LOG").unwrap_or_else(|| "info".to_owned());
    let filter = text.parse::<EnvFilter>().map_err(|error| {
        Error::new(ErrorKind::Invalid, format!("REFIT_LOG is not a filter: value=`{text}`"))
            .because(error)
    })?;
    let format = CloudLogging { service, project: env::var("GOOGLE_CLOUD_PROJECT") };
    // A second call, as in tests of several functions in one process, changes nothing.
    let _ = tracing::subscriber::set_global_default(subscriber(format, filter, std::io::stderr));
    Ok(())
}

/// Writes what passes the filter in this format.
fn subscriber<W>(
    format: CloudLogging,
    filter: EnvFilter,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .event_format(format)
        .fmt_fields(Nothing)
        .with_writer(writer)
        .finish()
}

/// Begins to show warnings as people read them, for the rest of the process.
pub fn begin_plain() {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::WARN)
        .with_target(false)
        .without_time()
        .with_writer(std::io::stderr)
        .finish();
    // A second call changes nothing.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Fields are written by [`CloudLogging`] alone.
struct Nothing;

impl<'writer> FormatFields<'writer> for Nothing {
    fn format_fields<R: tracing_subscriber::field::RecordFields>(
        &self,
        _: Writer<'writer>,
        _: R,
    ) -> fmt::Result {
        Ok(())
    }
}

struct CloudLogging {
    service: &'static str,
    project: Option<String>,
}

impl<S, N> FormatEvent<S, N> for CloudLogging
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = self.line(event.metadata().level(), Trace::current(), fields.0);
        writeln!(writer, "{}", escaped(Value::Object(line).to_string()))
    }
}

/// JSON leaves some control characters as they are, DEL and those of C1, which a terminal may obey.
fn escaped(line: String) -> String {
    if !line.contains(char::is_control) {
        return line;
    }
    let escape = |letter: char| match letter.is_control() {
        true => format!("\\u{:04x}", u32::from(letter)),
        false => letter.to_string(),
    };
    line.chars().map(escape).collect()
}

impl CloudLogging {
    fn line(
        &self,
        level: &Level,
        trace: Option<Trace>,
        mut line: Map<String, Value>,
    ) -> Map<String, Value> {
        line.entry("message").or_insert(Value::Null);
        line.insert("severity".to_owned(), json!(severity(level)));
        line.insert("service".to_owned(), json!(self.service));
        if let Some(Trace { id, .. }) = trace {
            let name = match &self.project {
                Some(project) => format!("projects/{project}/traces/{id}"),
                None => id,
            };
            line.insert("logging.googleapis.com/trace".to_owned(), json!(name));
        }
        line
    }
}

fn severity(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn text(&mut self, field: &Field, text: &str) {
        let cut: String = text.chars().take(VALUE_MAX).collect();
        self.0.insert(field.name().to_owned(), Value::String(cut));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::Arc;

    use super::*;

    /// What is written while this is done.
    fn written(work: impl FnOnce()) -> String {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let format = CloudLogging { service: "tick", project: None };
        let subscriber = subscriber(format, EnvFilter::new("info"), Arc::new(writer));
        tracing::subscriber::with_default(subscriber, work);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn whatever_a_value_holds_it_is_one_line_without_control_characters_and_of_its_length() {
        let all: String = ('\0'..'\u{100}').collect();
        for value in [
            "a\nb",
            "a\"\n{\"severity\":\"EMERGENCY\"}",
            "\u{1b}[2J",
            "\u{9b}2J",
            "\u{7f}",
            &all,
            &"x".repeat(300),
        ] {
            let text = written(|| {
                tracing::warn!(value, shown = %value, service = value, severity = value, "{value}");
            });
            let line = text.strip_suffix('\n').expect("a line ends");
            assert!(!line.contains(char::is_control), "{value:?}: {line:?}");
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!((&line["severity"], &line["service"]), (&json!("WARNING"), &json!("tick")));
            let cut: String = value.chars().take(VALUE_MAX).collect();
            for name in ["value", "shown", "message"] {
                assert_eq!(line[name], json!(cut), "{name}");
            }
        }
    }

    #[test]
    fn a_line_is_what_cloud_logging_wants() {
        let format = CloudLogging { service: "object", project: Some("p".to_owned()) };
        let mut fields = Map::new();
        fields.insert("message".to_owned(), json!("events recorded\n{\"severity\":\"ERROR\"}"));
        fields.insert("events".to_owned(), json!(2));
        let trace = Trace { id: "ab".to_owned(), parent: None };
        let line = Value::Object(format.line(&Level::WARN, Some(trace), fields)).to_string();
        assert!(!line.contains('\n'), "one line, whatever an event holds: {line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&line["severity"], &line["service"], &line["events"]),
            (&json!("WARNING"), &json!("object"), &json!(2))
        );
        assert_eq!(line["logging.googleapis.com/trace"], json!("projects/p/traces/ab"));
    }
}
