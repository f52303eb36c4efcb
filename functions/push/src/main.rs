//! The Lambda function `push`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(push::routes())
}
