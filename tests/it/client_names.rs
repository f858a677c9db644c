//! A name with several addresses is tried address by address, until one answers.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::harness::{
    FarTcp, FarUdp, Mute, Names, closed_port, end_of, private_loopback, run, sooner_than, timed, undisturbed,
};

/// Some addresses that nobody else uses, a port that is free on all of them, and the name for them.
pub(crate) fn several(test: &str, count: usize) -> Option<(Names, Vec<SocketAddr>)> {
    let ips: Vec<IpAddr> = (0..count).map(|_| private_loopback()).collect();
    let names = Names::several(test, &ips)?;
    let port = closed_port(ips[0]).port();
    Some((names, ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()))
}

#[test]
fn tcp_goes_on_to_the_address_that_answers() {
    let Some((names, addresses)) = several("tcp", 3) else { return };
    let far = FarTcp::on(addresses[2]);
    let mut client = names.client(&format!("several {} -m hello", addresses[2].port())).start();
    far.accept().answer("hello", "ACK");
    let ended = end_of(&mut client);
    assert_eq!(ended.code, 0, "{:?}", ended.err);
    assert_eq!(ended.out, [format!("connected to {}", addresses[2]), "last message: ACK".into()]);
}

#[test]
fn the_first_address_that_answers_is_the_one() {
    let Some((names, addresses)) = several("first", 2) else { return };
    let fars = [FarTcp::on(addresses[0]), FarTcp::on(addresses[1])];
    let mut client = names.client(&format!("several:{} -m hello", addresses[0].port())).start();
    fars[0].accept().answer("hello", "ACK");
    assert_eq!(client.wait_exit(), 0);
    fars[1].expect_nobody();
}

#[test]
fn a_tcp_address_that_says_nothing_gets_three_seconds() {
    let Some((names, addresses)) = several("mute", 2) else { return };
    sooner_than(Duration::from_secs(4), || {
        let _mute = Mute::on(addresses[0]);
        let far = FarTcp::on(addresses[1]);
        let (ended, took) = timed(|| {
            let mut client = names.client(&format!("several {} -m hello", addresses[0].port())).start();
            far.accept().answer("hello", "ACK");
            end_of(&mut client)
        });
        assert_eq!(ended.code, 0, "{:?}", ended.err);
        assert!(took >= Duration::from_millis(2900), "{took:?}");
        took
    });
}

#[test]
fn where_no_address_answers_each_is_named() {
    let Some((names, addresses)) = several("none", 2) else { return };
    let port = addresses[0].port();
    let ended = run(names.client(&format!("several {port} -m hello")));
    assert_eq!(ended.code, 1);
    let ended_udp = run(names.client(&format!("several {port} -u -m hello")));
    assert_eq!(ended_udp.code, 1);
    for address in &addresses {
        assert!(ended.complaint().contains(&address.to_string()), "{:?}", ended.err);
        assert!(ended_udp.out.concat().contains(&address.to_string()), "{:?}", ended_udp.out);
    }
}

#[test]
fn a_connection_that_stands_is_kept_even_where_its_server_is_silent() {
    let Some((names, addresses)) = several("kept", 2) else { return };
    sooner_than(Duration::from_millis(1200), || {
        let fars = [FarTcp::on(addresses[0]), FarTcp::on(addresses[1])];
        let (ended, took) = timed(|| {
            let mut client = names.client(&format!("several {} -m hello -W 0.3", addresses[0].port())).start();
            let mut caller = fars[0].accept();
            caller.expect("hello");
            end_of(&mut client)
        });
        fars[1].expect_nobody();
        assert_eq!(ended.code, 1);
        assert!(ended.out.len() == 2 && ended.out[1].starts_with("timed out: "), "{:?} {:?}", ended.out, ended.err);
        took
    });
}

#[test]
fn udp_goes_on_where_an_address_refuses() {
    let Some((names, addresses)) = several("refused", 2) else { return };
    sooner_than(Duration::from_secs(1), || {
        let far = FarUdp::on(addresses[1]);
        let (ended, took) = timed(|| {
            let mut client = names.client(&format!("several {} -u -m one -m two", addresses[0].port())).start();
            far.answer("one", "check");
            far.answer("two", "check");
            end_of(&mut client)
        });
        assert_eq!(ended.code, 0, "{:?} {:?}", ended.out, ended.err);
        let answered = format!("{} answered: check", addresses[1]);
        assert_eq!(ended.out.iter().filter(|line| **line == answered).count(), 2, "{:?}", ended.out);
        took
    });
}

#[test]
fn udp_goes_on_after_a_second_of_silence() {
    let Some((names, addresses)) = several("silent", 2) else { return };
    sooner_than(Duration::from_secs(2), || {
        let silent = FarUdp::on(addresses[0]);
        let far = FarUdp::on(addresses[1]);
        let (ended, took) = timed(|| {
            let mut client = names.client(&format!("several {} -u -m one -m two", addresses[0].port())).start();
            silent.expect("one");
            far.answer("one", "check");
            far.answer("two", "check");
            end_of(&mut client)
        });
        assert_eq!(ended.code, 0, "{:?} {:?}", ended.out, ended.err);
        assert!(took >= Duration::from_millis(990), "{took:?}");
        silent.expect_nothing();
        took
    });
}

#[test]
fn a_late_reply_of_an_address_given_up_is_not_credited() {
    undisturbed(|| {
        let Some((names, addresses)) = several("late", 2) else { return };
        let late = FarUdp::on(addresses[0]);
        let silent = FarUdp::on(addresses[1]);
        let mut client = names.client(&format!("several {} -u -m one -W 1", addresses[0].port())).start();
        let source = late.expect("one");
        let other = silent.expect("one");
        late.say(source, "check");
        late.say(other, "check");
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 1, "{:?}", ended.out);
        assert!(!ended.out.iter().any(|line| line.contains("answered")), "{:?}", ended.out);
        assert!(ended.complaint().contains("1 of 1"), "{:?}", ended.err);
    });
}

#[test]
fn an_address_that_has_answered_is_not_left_any_more() {
    undisturbed(|| {
        let Some((names, addresses)) = several("faithful", 2) else { return };
        let first = FarUdp::on(addresses[0]);
        let second = FarUdp::on(addresses[1]);
        let mut client = names.client(&format!("several {} -u -m one -m two -W 1.5", addresses[0].port())).start();
        first.answer("one", "check");
        first.expect("two");
        let ended = end_of(&mut client);
        assert_eq!(ended.code, 1);
        second.expect_nothing();
        assert!(ended.complaint().contains("1 of 2"), "{:?}", ended.err);
    });
}

#[test]
fn a_family_is_chosen_among_the_addresses() {
    let ip = private_loopback();
    let six = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let Some(names) = Names::several("family", &[six, ip]) else { return };
    let four_far = FarTcp::on((ip, 0).into());
    let port = four_far.address().port();
    let six_far = FarTcp::on((six, port).into());
    for (option, far) in [("-4", &four_far), ("-6", &six_far)] {
        let mut client = names.client(&format!("several {port} {option} -m hello")).start();
        far.accept().answer("hello", "ACK");
        assert_eq!(client.wait_exit(), 0, "{option}");
    }
    four_far.expect_nobody();
    six_far.expect_nobody();
}
