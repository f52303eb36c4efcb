//! Which keys are accepted, and which signatures they verify.
//!
//! These tests run the Wycheproof vectors of the supported signatures: RSA PKCS #1 v1.5 with SHA-256, ECDSA on P-256
//! with raw signatures, and Ed25519, each with the JSON Web Key of its group. They skip other curves, hashes and
//! paddings, which no accepted key uses, and the vectors of whole tokens (`json_web_signature_test`), which are not
//! published as a package. What the latter cover (keys for another algorithm, use or operation, tampered and malformed
//! tokens, algorithm confusion) is tested with our own keys, here and in `tests/foreign_tokens`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wycheproof::{ecdsa, eddsa, rsa_pkcs1_verify as rsa};

use super::*;

fn hex(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap().as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn parsed(jwk: &Value) -> Option<Key> {
    Key::parse(&jwk.to_string())
}

/// The JSON Web Key of a group. For a group without one, builds it from the group's public point.
fn key_of(group: &Value) -> Value {
    let jwk = [&group["publicKeyJwk"], &group["keyJwk"]].into_iter().find(|jwk| jwk.is_object());
    jwk.cloned().unwrap_or_else(|| {
        let point = hex(&group["publicKey"]["uncompressed"]);
        json!({"kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..])})
    })
}

/// Checks a file of vectors. Returns the numbers of valid and of invalid signatures.
fn check(vectors: &str, algorithm: Algorithm) -> (usize, usize) {
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let key = parsed(&key_of(group)).unwrap_or_else(|| panic!("{group}"));
        assert_eq!(key.algorithm, algorithm);
        for test in group["tests"].as_array().unwrap() {
            let (message, signature) = (hex(&test["msg"]), encoded(&hex(&test["sig"])));
            let verifies = Token::over(&message, algorithm, &signature).is_signed(algorithm, &key.public);
            match test["result"].as_str().unwrap() {
                "valid" => valid += 1,
                "invalid" => invalid += 1,
                // "acceptable": implementations may accept or refuse it.
                _ => continue,
            }
            assert_eq!(verifies, test["result"] == "valid", "{test}");
        }
    }
    (valid, invalid)
}

#[test]
fn ecdsa_signatures_verify_as_wycheproof_says() {
    let (valid, invalid) = check(ecdsa::TestName::EcdsaSecp256r1Sha256P1363.json_data(), Algorithm::ES256);
    assert!(valid > 150 && invalid > 80, "{valid} {invalid}");
}

#[test]
fn ed25519_signatures_verify_as_wycheproof_says() {
    let (valid, invalid) = check(eddsa::TestName::Ed25519.json_data(), Algorithm::EdDSA);
    assert!(valid > 80 && invalid > 60, "{valid} {invalid}");
}

#[test]
fn rsa_signatures_verify_as_wycheproof_says() {
    for name in [
        rsa::TestName::Rsa2048Sha256,
        rsa::TestName::Rsa3072Sha256,
        rsa::TestName::Rsa4096Sha256,
        rsa::TestName::Rsa8192Sha256,
    ] {
        let (valid, invalid) = check(name.json_data(), Algorithm::RS256);
        assert!(valid > 5 && invalid > 200, "{name:?} {valid} {invalid}");
    }
}

/// One key of each accepted type.
fn keys() -> [Value; 3] {
    let (x, y) = (encoded(&[1; 32]), encoded(&[2; 32]));
    [
        json!({"kty": "RSA", "n": encoded(&[0x81; 256]), "e": "AQAB"}),
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": x}),
    ]
}

fn with(key: &Value, name: &str, value: Value) -> Value {
    let mut key = key.clone();
    key[name] = value;
    key
}

#[test]
fn a_key_serves_only_the_algorithm_of_its_type() {
    let algorithms = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
    for (key, algorithm) in keys().iter().zip(algorithms) {
        let name = serde_json::to_value(algorithm).unwrap();
        for good in [
            key.clone(),
            with(key, "alg", name),
            with(key, "use", "sig".into()),
            with(key, "key_ops", json!(["sign", "verify"])),
            with(key, "x5c", json!(["ignored"])),
        ] {
            assert_eq!(parsed(&good).map(|key| key.algorithm), Some(algorithm), "{good}");
        }
        for bad in ["HS256", "RS384", "PS256", "ES384", "RSA-OAEP", "none", "", "es256"] {
            assert!(parsed(&with(key, "alg", bad.into())).is_none(), "{key} {bad}");
        }
        for other in algorithms.iter().filter(|other| **other != algorithm) {
            let name = serde_json::to_value(other).unwrap();
            assert!(parsed(&with(key, "alg", name)).is_none(), "{key} {other:?}");
        }
        for (name, value) in [
            ("use", json!("enc")),
            ("use", json!(7)),
            ("key_ops", json!([])),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!("verify")),
            ("kid", json!(7)),
            ("kty", json!("oct")),
            ("kty", json!("rsa")),
            ("kty", Value::Null),
            ("crv", json!("P-384")),
            ("crv", json!("secp256k1")),
            ("crv", json!("Ed448")),
            ("crv", json!("X25519")),
        ] {
            assert!(parsed(&with(key, name, value.clone())).is_none(), "{key} {name} {value}");
        }
    }
}

#[test]
fn weak_and_malformed_keys_are_refused() {
    let [rsa, ec, ed] = keys();
    let modulus = |first: u8, length: usize| {
        let mut modulus = vec![0xff; length];
        modulus[0] = first;
        with(&rsa, "n", encoded(&modulus).into())
    };
    assert!(parsed(&modulus(0x80, 256)).is_some());
    assert!(parsed(&modulus(0, 257)).is_some());
    for bad in [modulus(0x7f, 256), modulus(0, 256), modulus(0xff, 255), modulus(0xff, 128)] {
        assert!(parsed(&bad).is_none(), "{bad}");
    }
    for key in [&ec, &ed] {
        for x in [encoded(&[1; 31]), encoded(&[1; 33]), encoded(&[]), format!("{}=", encoded(&[1; 32]))] {
            assert!(parsed(&with(key, "x", x.clone().into())).is_none(), "{key} {x}");
        }
    }
    assert!(parsed(&with(&ec, "y", encoded(&[2; 31]).into())).is_none());
    // The total length is right, but not that of each coordinate.
    let shifted = with(&with(&ec, "x", encoded(&[1; 31]).into()), "y", encoded(&[2; 33]).into());
    assert!(parsed(&shifted).is_none());
    let text = ec.to_string();
    assert!(Key::parse(&text.replace("\"kty\"", "\"kty\":\"EC\",\"kty\"")).is_none());
    assert!(Key::parse("[\"EC\",\"P-256\"]").is_none());
}

#[test]
fn a_key_set_skips_unusable_keys() {
    let [rsa, ec, ed] = keys();
    let oct = json!({"kty": "oct", "k": encoded(&[7; 32]), "alg": "HS256"});
    let set = json!({"keys": [oct, 7, null, [], {}, rsa, "key", ec, ed, with(&ec, "use", "enc".into())], "more": 1});
    assert_eq!(KeySet::parse(set.to_string().as_bytes()).unwrap().0.len(), 3);
    assert!(KeySet::parse(b"{\"keys\":[]}").unwrap().0.is_empty());
    for bad in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":null}", "[[]]", "{\"keys\":[]}x", "<html>"] {
        assert!(KeySet::parse(bad.as_bytes()).is_none(), "{bad}");
    }
}

#[test]
fn key_set_urls_are_https_or_loopback() {
    for good in [
        "https://issuer.example/.well-known/jwks.json",
        "https://issuer.example:8443/keys?version=1",
        "http://127.0.0.1:9/jwks.json",
        "http://127.8.9.1/",
        "http://localhost:3000/keys",
        "http://[::1]:80/keys",
    ] {
        assert!(good.parse::<JwksUrl>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "/jwks.json",
        "issuer.example",
        "http://issuer.example/jwks.json",
        "http://10.0.0.1/jwks.json",
        "http://127.0.0.1@issuer.example/",
        "http://127.0.0.1.issuer.example/",
        "http://localhost.issuer.example/",
        "http://[::2]/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://",
    ] {
        assert!(bad.parse::<JwksUrl>().is_err(), "{bad}");
    }
}
