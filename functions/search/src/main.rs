//! The Lambda function `search`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(search::routes())
}
