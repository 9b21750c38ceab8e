//! What `wipeWritePerm` and `addWritePerm` share: every name server is told, whatever the others answer.

use anyhow::bail;
use protocol::{Header, RemotingCommand};

use crate::call::Call;

/// Sends `request` to every name server; `deed` begins the line for each, `count` reads how many topics it touched.
pub(crate) async fn tell_all<H: Header>(
    call: Call<'_>,
    deed: &str,
    request: impl Fn(&str) -> RemotingCommand,
    count: impl Fn(&H) -> i32,
) -> anyhow::Result<()> {
    let broker = call.given.need("b");
    let mut failed = None;
    for address in call.session.name_servers()? {
        let what = format!("{deed} write perm of broker[{broker}] in name server[{address}]");
        match call.session.header_of::<H>(address, request(broker)).await {
            Ok(done) => writeln!(call.out, "{what} OK, {}", count(&done))?,
            // The other name servers are told all the same.
            Err(error) => {
                writeln!(call.out, "{what} Failed")?;
                failed = Some(error);
            }
        }
    }
    match failed {
        Some(error) => bail!(error),
        None => Ok(()),
    }
}
