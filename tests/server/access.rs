//! Keys, certificates, and the services that stand open.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use vocode::proto::GetInfoRequest;
use vocode::proto::vocoder_service_client::VocoderServiceClient;

use super::server::Server;
use super::*;

fn with_key(key: &str) -> Request<GetInfoRequest> {
    let mut request = Request::new(GetInfoRequest {});
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_asked_for_and_read_again_at_a_signal() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "first-key\n").unwrap();
    let mut server = Server::start(&["--api-keys", file.path().to_str().unwrap()]);
    let mut client = server.client().await;
    let refused = async |client: &mut VocoderServiceClient<Channel>, request| {
        client.get_info(request).await.unwrap_err().code()
    };
    assert_eq!(
        refused(&mut client, Request::new(GetInfoRequest {})).await,
        Code::Unauthenticated
    );
    assert_eq!(
        refused(&mut client, with_key("second-key")).await,
        Code::Unauthenticated
    );
    client.get_info(with_key("first-key")).await.unwrap();

    let health = HealthCheckRequest {
        service: "vocode.v1.VocoderService".to_owned(),
    };
    HealthClient::new(server.channel().await)
        .check(health)
        .await
        .unwrap();

    fs::write(file.path(), "two words\n").unwrap();
    server.signal("HUP");
    server.log_says("stay as they were");
    client.get_info(with_key("first-key")).await.unwrap();
    fs::write(file.path(), "second-key\n").unwrap();
    server.signal("HUP");
    server.log_says("read the API keys again");
    client.get_info(with_key("second-key")).await.unwrap();
    assert_eq!(
        refused(&mut client, with_key("first-key")).await,
        Code::Unauthenticated
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_a_key_that_is_taken_back_end() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "staying\nleaving\n").unwrap();
    let server = Server::start(&["--api-keys", file.path().to_str().unwrap()]);
    let mut client = server.client().await;
    let mut call = async |key: &str| {
        let (live, mut requests) = Live::new(floats());
        let value = format!("Bearer {key}").parse().unwrap();
        requests.metadata_mut().insert("authorization", value);
        (
            live,
            client.vocode_live(requests).await.unwrap().into_inner(),
        )
    };
    let (stays, staying) = call("staying").await;
    let (_leaves, leaving) = call("leaving").await;
    fs::write(file.path(), "staying\n").unwrap();
    server.signal("HUP");
    let status = ending(leaving).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    stays.send(piece(&demo(), 0..9)).await;
    drop(stays);
    ending(staying).await.unwrap();
}

#[cfg(unix)]
#[test]
fn a_file_of_keys_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "key\n").unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o620)).unwrap();
    let flags = ["--check", "--api-keys", file.path().to_str().unwrap()];
    let output = super::server::command(&flags, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("mode 620") && said.contains("chmod go-w"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_tells_the_contract() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let server = Server::start(&[]);
    let request = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(server.channel().await);
    let answer = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap();
    let answer = answer.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = list
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    assert!(
        names.contains(&"vocode.v1.VocoderService") && names.contains(&"grpc.health.v1.Health"),
        "{names:?}"
    );
}

/// An authority, a server's certificate and a client's, as PEM files.
struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    fn new() -> Certificates {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        for name in ["server", "client", "expired", "future"] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            let year = match name {
                "expired" => Some(2020),
                "future" => Some(2090),
                _ => None,
            };
            if let Some(year) = year {
                (params.not_before, params.not_after) =
                    (date_time_ymd(year, 1, 1), date_time_ymd(year + 1, 1, 1));
            }
            let cert = params.signed_by(&key, &authority).unwrap();
            fs::write(folder.path().join(format!("{name}.pem")), cert.pem()).unwrap();
            fs::write(
                folder.path().join(format!("{name}.key")),
                key.serialize_pem(),
            )
            .unwrap();
        }
        Certificates { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn flags<'a>(&self, name: &str, client_ca: bool, paths: &'a mut Vec<String>) -> Vec<&'a str> {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let mut flags = vec![("--tls-cert", certificate), ("--tls-key", key)];
        if client_ca {
            flags.push(("--tls-client-ca", "ca.pem".to_owned()));
        }
        for (flag, name) in flags {
            paths.extend([
                flag.to_owned(),
                self.path(&name).to_str().unwrap().to_owned(),
            ]);
        }
        paths.iter().map(String::as_str).collect()
    }

    /// A secured connection of a client that speaks these protocols.
    async fn connect(
        &self,
        address: &str,
        protocols: &[&[u8]],
    ) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        use std::sync::Arc;
        use tokio_rustls::rustls::crypto::ring;
        use tokio_rustls::rustls::pki_types::pem::PemObject;
        use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
        use tokio_rustls::rustls::{ClientConfig, RootCertStore};
        let authority = CertificateDer::from_pem_file(self.path("ca.pem")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority).unwrap();
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        connector.connect(name, socket).await.unwrap()
    }

    /// What GetInfo comes to over TLS, shown the certificate that is named.
    async fn call(&self, server: &Server, identity: Option<&str>) -> Result<(), String> {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.read("ca.pem")))
            .domain_name("localhost");
        if let Some(name) = identity {
            tls = tls.identity(Identity::from_pem(
                self.read(&format!("{name}.pem")),
                self.read(&format!("{name}.key")),
            ));
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", server.address())).unwrap();
        let channel = endpoint
            .tls_config(tls)
            .unwrap()
            .connect()
            .await
            .map_err(|e| e.to_string())?;
        let answer = VocoderServiceClient::new(channel)
            .get_info(GetInfoRequest {})
            .await;
        answer.map(|_| ()).map_err(|e| e.to_string())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_protects_the_connection_and_can_ask_who_calls() {
    let certificates = Certificates::new();
    let mut paths = Vec::new();
    let server = Server::start(&certificates.flags("server", false, &mut paths));
    certificates.call(&server, None).await.unwrap();

    let mut paths = Vec::new();
    let strict = Server::start(&certificates.flags("server", true, &mut paths));
    certificates.call(&strict, Some("client")).await.unwrap();
    assert!(certificates.call(&strict, None).await.is_err());
    assert!(certificates.call(&strict, Some("expired")).await.is_err());

    let mut paths = Vec::new();
    let mut expired = Server::start(&certificates.flags("expired", false, &mut paths));
    expired.log_says("expired on Jan  1");
    assert!(certificates.call(&expired, None).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_read_again_at_a_signal_and_bad_ones_are_not_taken() {
    let (first, second) = (Certificates::new(), Certificates::new());
    let mut paths = Vec::new();
    let mut server = Server::start(&first.flags("server", false, &mut paths));
    first.call(&server, None).await.unwrap();
    // What the server has on its disk from now on.
    let install = |name: &str| {
        for end in ["pem", "key"] {
            let fresh = second.path(&format!("{name}.{end}"));
            fs::copy(fresh, first.path(&format!("server.{end}"))).unwrap();
        }
    };
    install("server");
    server.signal("HUP");
    server.log_says("read the certificates again");
    second.call(&server, None).await.unwrap();
    assert!(first.call(&server, None).await.is_err());

    for (name, said) in [
        ("expired", "expired on Jan  1"),
        ("future", "not valid before Jan  1"),
    ] {
        install(name);
        server.signal("HUP");
        server.log_says(said);
    }
    fs::write(first.path("server.pem"), "no certificate").unwrap();
    server.signal("HUP");
    server.log_says("there is none in it");
    assert_eq!(
        server
            .log()
            .matches("certificates stay as they were")
            .count(),
        3
    );
    second.call(&server, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_secured_by_the_same_certificates() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let certificates = Certificates::new();
    let mut paths = Vec::new();
    let mut flags = certificates.flags("server", false, &mut paths);
    flags.extend(["--http", "127.0.0.1:0"]);
    let server = Server::start(&flags);
    // As a browser offers them.
    let protocols: [&[u8]; 2] = [b"h2", b"http/1.1"];
    let mut stream = certificates.connect(server.http(), &protocols).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocols[1]));
    let request = b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ready\n"),
        "{answer}"
    );
    certificates.call(&server, None).await.unwrap();
}

/// TLS connections that are secured and then say nothing.
#[tokio::test(flavor = "multi_thread")]
async fn secured_connections_that_ask_for_nothing_make_room_and_are_closed() {
    use tokio::io::AsyncReadExt;
    let certificates = Certificates::new();
    let mut paths = Vec::new();
    let mut flags = certificates.flags("server", false, &mut paths);
    flags.extend(["--max-connections", "4"]);
    let server = Server::start(&flags);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(certificates.connect(server.address(), &[b"h2"]).await);
    }
    certificates.call(&server, None).await.unwrap();
    for connection in &mut held {
        let mut left = Vec::new();
        let end = connection.read_to_end(&mut left);
        let end = tokio::time::timeout(std::time::Duration::from_secs(60), end).await;
        assert!(end.is_ok(), "a connection that asks for nothing stays open");
    }
}

#[test]
fn settings_are_checked_without_serving() {
    let certificates = Certificates::new();
    let good = certificates.path("server.key");
    let empty = certificates.path("empty");
    fs::write(&empty, "").unwrap();
    let check = |flags: &[&str]| {
        let flags = [&["--check"], flags].concat();
        let output = super::server::command(&flags, &[]).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), said)
    };
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    assert_eq!(check(&[]).0, Some(0));
    let key = |name: &str| text(&certificates.path(&format!("{name}.key")));
    let cert = |name: &str| text(&certificates.path(&format!("{name}.pem")));
    let cases: [(&[&str], i32, &str); 14] = [
        (&["--model", "no/such/model"], 1, "no/such/model"),
        (
            &[
                "--model",
                "x=models/default",
                "--model",
                "x=tests/fixtures/tiny_flow",
            ],
            1,
            "`x`",
        ),
        (&["--api-keys", &text(&empty)], 1, "no key in it"),
        (&["--tls-cert", &text(&good)], 2, "--tls-key"),
        (
            &["--tls-cert", &text(&good), "--tls-key", &text(&good)],
            1,
            "--tls-cert",
        ),
        (
            &["--model-provider", "other=cpu"],
            1,
            "no model of that name; there is default",
        ),
        (&["--model-provider", "default=gpu"], 2, "cuda, tensorrt"),
        (
            &["--provider", "cpu", "--tf32"],
            1,
            "--tf32 does nothing with --provider cpu",
        ),
        (
            &["--tls-cert", &cert("expired"), "--tls-key", &key("expired")],
            1,
            "expired on Jan  1",
        ),
        (
            &["--tls-cert", &cert("future"), "--tls-key", &key("future")],
            1,
            "is not valid before Jan  1",
        ),
        (&["--socket-mode", "660"], 2, "give --listen unix:PATH"),
        (&["--listen", "nowhere"], 2, "HOST:PORT"),
        (&["--max-streams", "0"], 2, "--max-streams"),
        (&["--config", "no/such/file.toml"], 1, "no/such/file.toml"),
    ];
    for (flags, code, word) in cases {
        let (found, said) = check(flags);
        assert_eq!(found, Some(code), "{flags:?}: {said}");
        assert!(
            said.contains(word) && !said.contains("panicked"),
            "{flags:?}: {said}"
        );
    }
}
