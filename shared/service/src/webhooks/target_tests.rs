use super::*;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Every name leads to these addresses.
fn leads_to(addresses: &[&str]) -> Resolver {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Resolver::new(move |_| {
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    })
}

/// As a delivery judges: the text, then what its name leads to, which here is always public.
async fn judge(text: &str) -> Result<Vec<SocketAddr>, Refusal> {
    Target::parse(text, false)?.addresses(&leads_to(&["93.184.215.14"])).await
}

#[tokio::test]
async fn no_spelling_of_what_is_not_public_is_accepted() {
    use Refusal::{Credentials, Name, NotPublic, Port, Scheme, Unreadable};
    let refused = [
        // This host and its network, in every way of writing an IPv4 address.
        ("https://127.0.0.1/", NotPublic),
        ("https://127.1/", NotPublic),
        ("https://127.0.1/", NotPublic),
        ("https://2130706433/", NotPublic),
        ("https://0x7f000001/", NotPublic),
        ("https://0x7f.0.0.1/", NotPublic),
        ("https://0X7F.0x0.0x0.0x1/", NotPublic),
        ("https://017700000001/", NotPublic),
        ("https://0177.0.0.01/", NotPublic),
        ("https://127.0.0.1./", NotPublic),
        ("https://%31%32%37.0.0.1/", NotPublic),
        ("https://１２７.0.0.1/", NotPublic),
        ("https://①②⑦.⓪.⓪.①/", NotPublic),
        ("https://127。0。0。1/", NotPublic),
        ("https://0/", NotPublic),
        ("https://0.0.0.0/", NotPublic),
        ("https://10.1.2.3/", NotPublic),
        ("https://172.31.255.255/", NotPublic),
        ("https://192.168.0.1:8443/", NotPublic),
        ("https://100.64.0.1/", NotPublic),
        ("https://198.18.0.1/", NotPublic),
        ("https://203.0.113.7/", NotPublic),
        ("https://224.0.0.1/", NotPublic),
        ("https://255.255.255.255/", NotPublic),
        // The metadata server.
        ("https://169.254.169.254/computeMetadata/v1/", NotPublic),
        ("https://0xa9fea9fe/", NotPublic),
        ("https://2852039166/", NotPublic),
        ("https://0251.0376.0251.0376/", NotPublic),
        ("https://169.254.43518/", NotPublic),
        ("https://metadata.google.internal/", Name),
        ("https://METADATA.google.INTERNAL/", Name),
        ("https://metadata/", Name),
        // IPv6, and IPv4 inside it.
        ("https://[::]/", NotPublic),
        ("https://[::1]/", NotPublic),
        ("https://[0:0:0:0:0:0:0:1]/", NotPublic),
        ("https://[::127.0.0.1]/", NotPublic),
        ("https://[::ffff:127.0.0.1]/", NotPublic),
        ("https://[::ffff:a9fe:a9fe]/", NotPublic),
        ("https://[::FFFF:10.0.0.1]:8443/", NotPublic),
        ("https://[64:ff9b::169.254.169.254]/", NotPublic),
        ("https://[64:ff9b:1::a9fe:a9fe]/", NotPublic),
        ("https://[2002:7f00:1::]/", NotPublic),
        ("https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", NotPublic),
        ("https://[fd00:ec2::254]/", NotPublic),
        ("https://[fe80::1]/", NotPublic),
        ("https://[fe80::1%25eth0]/", Unreadable),
        ("https://[ff02::1]/", NotPublic),
        ("https://[2001:db8::1]/", NotPublic),
        // Names that mean something else everywhere.
        ("https://localhost/", Name),
        ("https://LOCALHOST/", Name),
        ("https://LocalHost:8443/", Name),
        ("https://localhost./", Name),
        ("https://ⓛocalhost/", Name),
        ("https://a.localhost/", Name),
        ("https://localhost.localdomain/", Name),
        ("https://printer.local/", Name),
        ("https://router.home.arpa/", Name),
        ("https://kubernetes/", Name),
        ("https://example.org./", Name),
        // Other parts of the URL.
        ("https://user:password@example.org/", Credentials),
        ("https://user@example.org/", Credentials),
        ("https://@example.org/", Credentials),
        ("https://:@example.org/", Credentials),
        ("https://example.org@127.0.0.1/", Credentials),
        ("https://example.org:22/", Port),
        ("https://example.org:80/", Port),
        ("https://example.org:0/", Port),
        ("https://example.org:65536/", Unreadable),
        ("https://example.org:-443/", Unreadable),
        ("https://example.org:443:22/", Unreadable),
        ("http://example.org/", Scheme),
        ("http://127.0.0.1/", Scheme),
        ("HTTP://example.org/", Scheme),
        ("ftp://example.org/", Scheme),
        ("file:///etc/passwd", Unreadable),
        ("gopher://example.org/", Scheme),
        ("javascript:alert(1)", Scheme),
        ("//example.org/", Scheme),
        ("example.org", Scheme),
        ("https:example.org", Scheme),
        ("https:/example.org", Scheme),
        ("https:///example.org/", Unreadable),
        ("https://", Unreadable),
        ("https://?x", Unreadable),
        ("https://:443/", Unreadable),
        ("", Scheme),
        ("https://example.org\\@127.0.0.1/", Unreadable),
        ("https://example.org\t/", Unreadable),
        ("https://exam ple.org/", Unreadable),
        (" https://example.org/", Unreadable),
        ("https://example.org/\r\nHost: x", Unreadable),
        ("https://example.org/\0", Unreadable),
        ("https://127.0.0.1%00.example.org/", Unreadable),
        ("https://[::1/", Unreadable),
        ("https://256.256.256.256/", Unreadable),
    ];
    for (text, why) in refused {
        assert_eq!(judge(text).await, Err(why), "{text:?}");
    }
    assert_eq!(judge(&format!("https://example.org/{}", "x".repeat(2048))).await, Err(Unreadable));
}

#[tokio::test]
async fn what_is_public_is_accepted_with_the_address_that_was_judged() {
    let accepted = [
        ("https://example.org/hooks?token=x%20y#part", "93.184.215.14:443"),
        ("HTTPS://Example.ORG", "93.184.215.14:443"),
        ("https://example.org:443/", "93.184.215.14:443"),
        ("https://example.org:8443/a@b", "93.184.215.14:8443"),
        ("https://bücher.example.org/", "93.184.215.14:443"),
        ("https://example。org/", "93.184.215.14:443"),
        ("https://internal.example.org/", "93.184.215.14:443"),
        ("https://8.8.8.8/", "8.8.8.8:443"),
        ("https://0x08080808/", "8.8.8.8:443"),
        ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443"),
    ];
    for (text, address) in accepted {
        assert_eq!(judge(text).await, Ok(vec![address.parse().unwrap()]), "{text}");
    }
}

#[tokio::test]
async fn one_address_that_is_not_public_refuses_the_name() {
    let target = Target::parse("https://example.org/", false).unwrap();
    for addresses in
        [&["8.8.8.8", "10.0.0.1"][..], &["::1"], &["2606:4700::1111", "::ffff:8.8.8.8"], &["169.254.169.254"]]
    {
        assert_eq!(target.addresses(&leads_to(addresses)).await, Err(Refusal::NotPublic), "{addresses:?}");
    }
    assert_eq!(target.addresses(&leads_to(&[])).await, Err(Refusal::Unresolved));
    let away = Resolver::new(|_| Box::pin(async { Err(io::Error::other("away")) }));
    assert_eq!(target.addresses(&away).await, Err(Refusal::Unresolved));
}

#[tokio::test]
async fn a_name_that_leads_to_a_public_address_first_and_inside_then_is_asked_once_per_judgement() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let rebinding = Resolver::new(move |_| {
        let address = if count.fetch_add(1, Ordering::SeqCst) == 0 { "8.8.8.8" } else { "127.0.0.1" };
        Box::pin(async move { Ok(vec![address.parse().unwrap()]) })
    });
    let target = Target::parse("https://rebinding.example.org/", false).unwrap();
    assert_eq!(target.addresses(&rebinding).await, Ok(vec!["8.8.8.8:443".parse().unwrap()]));
    assert_eq!(asked.load(Ordering::SeqCst), 1, "what was judged is what is connected to");
    assert_eq!(target.addresses(&rebinding).await, Err(Refusal::NotPublic));
}

#[tokio::test]
async fn on_a_laptop_messages_may_go_to_this_machine_and_nowhere_else_inside() {
    let judge = async |text: &str, address: &str| Target::parse(text, true)?.addresses(&leads_to(&[address])).await;
    assert!(judge("http://127.0.0.1:8000/", "8.8.8.8").await.is_ok());
    assert!(judge("http://localhost:8000/", "127.0.0.1").await.is_ok());
    assert!(judge("https://example.org/", "8.8.8.8").await.is_ok());
    assert_eq!(judge("http://example.org:8000/", "8.8.8.8").await, Err(Refusal::NotPublic), "without TLS");
    assert_eq!(judge("http://example.org:8000/", "10.0.0.1").await, Err(Refusal::NotPublic));
    assert_eq!(judge("http://169.254.169.254:8000/", "127.0.0.1").await, Err(Refusal::NotPublic));
}
