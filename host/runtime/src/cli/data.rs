//! The flags by which a process finds the databases of its nodes. URIs hold passwords: they are not shown, neither in help
//! nor in errors.

use std::sync::Arc;

use anyhow::Context as _;

use super::secret::{Secret, secret};
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
}

/// Where measurements go, and the task that sends them, if there is one.
pub(super) struct Measuring {
    pub(super) measurements: Arc<dyn Measurements>,
    influx: Option<InfluxTask>,
}

impl DataArgs {
    /// Measurements as gauges of `metrics`, and to InfluxDB if there is one.
    pub(super) fn measuring(&self, runtime_id: &str, metrics: &Arc<Metrics>) -> anyhow::Result<Measuring> {
        let gauges = GaugeMeasurements::new(metrics);
        // The platform sets all variables, empty ones for what it has not.
        let Some(Secret(uri)) = self.influx_uri.as_ref().filter(|uri| !uri.0.is_empty()) else {
            return Ok(Measuring { measurements: Arc::new(gauges), influx: None });
        };
        let started = InfluxMeasurements::start(uri, runtime_id, InfluxLimits::default(), metrics.clone());
        let (influx, task) = started.context("--influx-uri, or KRT_INFLUX_URI")?;
        Ok(Measuring { measurements: Arc::new(GaugesAndInflux { gauges, influx }), influx: Some(task) })
    }
}

impl Measuring {
    /// Sends what is left, for the end of the process.
    pub(super) async fn end(self) {
        if let Some(task) = self.influx {
            task.end().await;
        }
    }
}
