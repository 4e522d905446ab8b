//! The `log` facade's end: records go to the host, which adds node and request id. Installed by the crate itself.

use log::kv::{self, VisitSource};
use log::{LevelFilter, Log, Record};

use crate::host::Host;

/// What hands a record to whoever hosts the node at this moment.
pub(crate) struct Facade<F>(pub(crate) F);

impl<F, H> Log for Facade<F>
where
    F: Fn() -> Option<H> + Send + Sync,
    H: Host,
{
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let Some(host) = (self.0)() else { return };
        let mut fields = Fields(Vec::new());
        // Fields never fails: it is only a list that grows.
        let _ = record.key_values().visit(&mut fields);
        match record.args().as_str() {
            Some(text) => host.log(record.level(), text, &fields.0),
            None => host.log(record.level(), &record.args().to_string(), &fields.0),
        }
    }

    fn flush(&self) {}
}

/// Makes `logger` the end of the facade, unless the program has chosen another one already.
pub(crate) fn install(logger: &'static dyn Log, level: LevelFilter) {
    if log::set_logger(logger).is_ok() {
        log::set_max_level(level);
    }
}

struct Fields(Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        self.0.push((key.to_string(), value.to_string()));
        Ok(())
    }
}
