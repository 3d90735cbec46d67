//! Events as JSON, one object a line.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    layer::{Context, Layer},
    registry::{LookupSpan, Scope, SpanRef},
};

use super::{RedisName, output::Output};

/// Writes events with the fields of their spans.
pub(super) struct JsonLayer {
    node: String,
    redis: RedisName,
    output: Output,
}

/// Fields of an event or a span, in the order they were recorded; a later one replaces an earlier one of its name.
#[derive(Debug, Clone, Default)]
struct Fields(Map<String, Value>);

impl JsonLayer {
    /// Every line says which node it is from, and of which `Redis` once that is known.
    pub(super) fn new(node: &str, redis: RedisName, output: Output) -> Self {
        Self { node: node.to_owned(), redis, output }
    }

    fn line(&self, level: Level, target: &str, fields: Fields) -> String {
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), format!("{:.3}", Timestamp::now()).into());
        line.insert("level".to_owned(), level.as_str().into());
        line.insert("target".to_owned(), target.into());
        line.insert("node".to_owned(), self.node.clone().into());
        if let Some(redis) = self.redis.get() {
            line.insert("redis".to_owned(), redis.into());
        }
        line.extend(fields.0);
        Value::Object(line).to_string() + "\n"
    }

    fn dropped(&self, lines: u64) -> String {
        let mut fields = Fields::default();
        let message = format!("{lines} log lines were dropped: whoever reads them was too slow");
        fields.0.insert("message".to_owned(), message.into());
        self.line(Level::WARN, module_path!(), fields)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        fields.0.insert("message".to_owned(), Value::Null);
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            fields.0.extend(fields_of(&span));
        }
        event.record(&mut fields);
        let line = self.line(*event.metadata().level(), event.metadata().target(), fields);
        self.output.line(&line, |dropped| self.dropped(dropped));
    }
}

fn fields_of<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> Map<String, Value> {
    span.extensions().get::<Fields>().map(|fields| fields.0.clone()).unwrap_or_default()
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::fd::OwnedFd};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn logged(write: impl FnOnce()) -> Vec<Value> {
        let (mut theirs, ours) = std::io::pipe().unwrap();
        let redis = RedisName::default();
        redis.set("cart");
        let layer = JsonLayer::new("cart-0", redis, Output::new(OwnedFd::from(ours).into()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), write);
        let mut text = String::new();
        theirs.read_to_string(&mut text).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_says_who_when_what_and_within_what() {
        let lines = logged(|| {
            let _outer = tracing::info_span!("failover", id = "abc", epoch = tracing::field::Empty).entered();
            tracing::Span::current().record("epoch", 7);
            tracing::warn!(took_ms = 12, node = "cart-9", "promoted {}", "cart-1");
        });
        let line = lines[0].as_object().unwrap();
        let at: Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(at.duration_since(Timestamp::now()).as_secs().abs() < 60);
        let keys: Vec<_> = line.keys().map(String::as_str).collect();
        let expected = ["timestamp", "level", "target", "node", "redis", "message", "id", "epoch", "took_ms"];
        assert_eq!(keys, expected);
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "promoted cart-1");
        assert_eq!((&line["id"], &line["epoch"], &line["took_ms"]), (&"abc".into(), &7.into(), &12.into()));
    }

    #[test]
    fn what_is_logged_cannot_break_the_line() {
        let nasty = "two\nlines \"quoted\" \u{1b}[31m \u{0}";
        let lines = logged(|| tracing::info!(field = nasty, "{nasty}"));
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["message"], &lines[0]["field"]), (&nasty.into(), &nasty.into()));
    }
}
