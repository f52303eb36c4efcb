//! The Lambda function `about`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(about::routes())
}
