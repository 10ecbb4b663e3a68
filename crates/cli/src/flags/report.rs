//! What was typed behind `report`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(
    after_help = "Shards of one run are added exactly: histograms bucket by bucket, rates over the time that all of them share.\n\
    --against says faster, slower, or that the noise does not allow a verdict; docs/load.md tells how.\n\
    It exits with 1 if --fail-if-slower is not kept, with 26 if a file cannot be read, with 2 if one is no saved run.\n\n\
    Examples:\n  sockeye report shard-*.json                             one run of many machines\n  \
    sockeye report a.json b.json --save all.json --report all.html\n  \
    sockeye report now.json --against main.json --fail-if-slower 5%"
)]
pub(crate) struct Report {
    /// What `load --save` wrote; several are merged
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Compare with this saved run; several are merged
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Vec<PathBuf>,
    /// Exit with 1 if it is slower than the base by more than this part, such as 5%, and the noise does not explain it
    #[arg(long, value_name = "PERCENT", value_parser = super::parsers::percent, requires = "against")]
    pub(crate) fail_if_slower: Option<f64>,
    /// Write the merged run there, as --save of load does
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// Write a page with graphs there
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
}
