//! The flags by which a process finds the databases of its nodes. URIs hold passwords: they are not shown, neither in help
//! nor in errors.

use std::sync::Arc;

use anyhow::Context as _;

use super::secret::{Secret, secret};
use crate::data::mongo::MongoReader;
use crate::runtime::Backend;
use crate::telemetry::{
    GaugeMeasurements, GaugesAndInflux, InfluxLimits, InfluxMeasurements, InfluxTask, Measurements, Metrics,
};

/// Where the databases of nodes are.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Databases of nodes")]
pub(super) struct DataArgs {
    /// InfluxDB 1.8 for measurements: http[s]://[USER:PASSWORD@]HOST[:PORT]; its database is the runtime's id
    #[arg(long, value_name = "URI", env = "KRT_INFLUX_URI", hide_env_values = true, value_parser = secret)]
    influx_uri: Option<Secret>,
    /// MongoDB for what nodes find: mongodb://[USER:PASSWORD@]HOST[:PORT]; its database is the runtime's id and -data
    #[arg(long, value_name = "URI", env = "KRT_MONGO_URI", hide_env_values = true, value_parser = secret)]
    mongo_uri: Option<Secret>,
    /// Look for what is not there in the database `data`, too: the original's runners did, for all runtimes in one
    #[arg(long)]
    mongo_shared: bool,
}

/// Where measurements go, and the task that sends them, if there is one.
pub(super) struct Measuring {
    pub(super) measurements: Arc<dyn Measurements>,
    influx: Option<InfluxTask>,
}

impl DataArgs {
    /// Lets nodes find documents in MongoDB, if there is one.
    pub(super) async fn read_from(&self, runtime_id: &str, backend: &mut Backend) -> anyhow::Result<()> {
        let Some(uri) = given(self.mongo_uri.as_ref()) else { return Ok(()) };
        let reader = MongoReader::new(uri, runtime_id, self.mongo_shared).await;
        backend.database.reader = Some(Arc::new(reader.context("--mongo-uri, or KRT_MONGO_URI")?));
        if backend.nats.is_none() {
            tracing::warn!(
                "what nodes find comes from MongoDB, but what they save stays in this process: that needs --nats"
            );
        }
        Ok(())
    }

    /// The URIs of InfluxDB and MongoDB, empty where there is none, for nodes that find both themselves.
    pub(super) fn uris(&self) -> (&str, &str) {
        (given(self.influx_uri.as_ref()).unwrap_or_default(), given(self.mongo_uri.as_ref()).unwrap_or_default())
    }

    /// Measurements as gauges of `metrics`, and to InfluxDB if there is one.
    pub(super) fn measuring(&self, runtime_id: &str, metrics: &Arc<Metrics>) -> anyhow::Result<Measuring> {
        let gauges = GaugeMeasurements::new(metrics);
        let Some(uri) = given(self.influx_uri.as_ref()) else {
            return Ok(Measuring { measurements: Arc::new(gauges), influx: None });
        };
        let started = InfluxMeasurements::start(uri, runtime_id, InfluxLimits::default(), metrics.clone());
        let (influx, task) = started.context("--influx-uri, or KRT_INFLUX_URI")?;
        Ok(Measuring { measurements: Arc::new(GaugesAndInflux { gauges, influx }), influx: Some(task) })
    }
}

/// The platform sets all variables, empty ones for what it has not.
fn given(uri: Option<&Secret>) -> Option<&str> {
    uri.map(|Secret(uri)| uri.as_str()).filter(|uri| !uri.is_empty())
}

impl Measuring {
    /// Sends what is left, for the end of the process.
    pub(super) async fn end(self) {
        if let Some(task) = self.influx {
            task.end().await;
        }
    }
}
