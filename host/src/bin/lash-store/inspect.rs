//! scratch
use crate::arguments::Inspect;
use crate::failure::Failure;
use crate::output::Output;
pub(crate) async fn run(arguments: Inspect, output: &mut Output) -> Result<(), Failure> {
    crate::targets::each(&arguments.path, output, async |inspector, _, output| {
        let s = inspector.statistics().await?;
        output.result(&s, |_| String::new())
    })
    .await
}
