//! The Lambda function `ws-ticket`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(ws_ticket::routes())
}
