//! The binary of all Lambda functions. Lambda's variable `_HANDLER` names the one to run.

fn main() -> Result<(), lambda_http::Error> {
    let function =
        edge::app::variable("_HANDLER").ok_or("_HANDLER, the name of the function to run, is not set")?;
    functions::start(&function)
}
