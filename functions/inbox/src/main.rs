//! The Lambda function `inbox`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(inbox::routes())
}
