//! The binary of every Lambda function. It is the one that Lambda was told to start: its handler, `_HANDLER`.

fn main() -> Result<(), lambda_http::Error> {
    let function =
        edge::app::variable("_HANDLER").ok_or("_HANDLER, which says which function this is, is not set")?;
    functions::start(&function)
}
