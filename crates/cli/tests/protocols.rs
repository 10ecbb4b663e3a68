//! More of `transcripts/`, each against a real other end: databases, brokers, phones and debuggers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::process::Command;

use support::peers::Peer;
use support::played::{TCP, UDP, client, python, serve, server, talk};
use support::{free_port, need, run_command};

#[test]
fn clients_of_mysql_get_their_row_and_mariadb_answers() {
    let ask =
        ["--no-defaults", "--host=127.0.0.1", "--port=PORT", "--user=ann", "--batch", "-e", "select 42 as answer"];
    assert_eq!(serve("mysql.talk", TCP, &[], client("mariadb", &ask, "")), "answer\n42\n");
    // It says something else before, which is answered with `done`.
    let script = "
import pymysql
connection = pymysql.connect(host='127.0.0.1', port=PORT, user='ann')
cursor = connection.cursor()
cursor.execute('select 42 as answer')
assert cursor.fetchall() == ((42,),) and cursor.description[0][0] == 'answer'
connection.close()
";
    serve("mysql.talk", TCP, &[], python("/usr/bin/python3", script));
    // An empty folder is enough for a server that knows no users, and lets everybody in.
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec![
        "--no-defaults",
        "--datadir=FOLDER",
        "--port=PORT",
        "--bind-address=127.0.0.1",
        "--socket=FOLDER/socket",
        "--pid-file=FOLDER/pid",
        "--skip-grant-tables",
        "--skip-innodb",
        "--default-storage-engine=Aria",
        "--aria-log-file-size=8M",
    ];
    if rustix::process::geteuid().is_root() {
        // It refuses to be root by accident.
        arguments.push("--user=root");
    }
    let database = server("mariadbd", folder.path(), "", &arguments);
    talk("mysql.talk", &format!("127.0.0.1:{}", database.port), &[]);
}

#[test]
fn pika_declares_a_queue_and_gets_its_message_back() {
    let script = "
import pika
connection = pika.BlockingConnection(pika.ConnectionParameters('127.0.0.1', PORT))
channel = connection.channel()
channel.queue_declare(queue='fish')
channel.basic_publish(exchange='', routing_key='fish', body=b'hello')
method, properties, body = channel.basic_get(queue='fish', auto_ack=True)
assert (method.routing_key, body) == ('fish', b'hello')
connection.close()
";
    serve("amqp.talk", TCP, &[], python("/usr/bin/python3", script));
}

/// How sipp names what carries its messages.
const CARRIERS: [(&str, &str, &str); 2] = [("u1", "udp", UDP), ("t1", "tcp", TCP)];

#[test]
fn sipp_calls_and_is_called_over_both_protocols() {
    need("sipp");
    for (carrier, scheme, any) in CARRIERS {
        let own = free_port().to_string();
        let call =
            ["-sn", "uac", "-t", carrier, "-i", "127.0.0.1", "-p", &own, "-m", "1", "-nostdin", "127.0.0.1:PORT"];
        serve("sip.talk", any, &[], client("sipp", &call, ""));
        let folder = tempfile::tempdir().unwrap();
        let phone = Peer::start_quietly(|port| {
            let mut command = Command::new("sipp");
            command.args(["-sn", "uas", "-t", carrier, "-i", "127.0.0.1", "-m", "1", "-nostdin"]);
            command.args(["-p", &port.to_string()]).current_dir(folder.path());
            command
        });
        talk("sip.talk", &format!("{scheme}://127.0.0.1:{}", phone.port), &[]);
    }
}

/// The port of the broker that it learns is one where the server listens for it.
#[test]
fn a_producer_of_kafka_goes_where_it_is_told_and_hands_over_its_record() {
    let script = "
from kafka import KafkaProducer
producer = KafkaProducer(bootstrap_servers='127.0.0.1:PORT', api_version=(0, 9), acks=1, client_id='talk')
answer = producer.send('fish', b'hello').get(timeout=60)
assert (answer.topic, answer.partition, answer.offset) == ('fish', 0, 7)
producer.close()
";
    serve("kafka.talk", TCP, &[], python("/usr/bin/python3", script));
}

/// It calls again after half a second.
#[test]
fn sipp_may_call_again_before_it_gets_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let late = folder.path().join("late.talk");
    let text = fs::read_to_string(support::transcript("sip.talk")).unwrap();
    let (call, answer) = text.split_once("# Not everybody").unwrap();
    fs::write(&late, format!("{call}S waits 1200ms\n#{answer}")).unwrap();
    let own = free_port().to_string();
    let call = ["-sn", "uac", "-i", "127.0.0.1", "-p", &own, "-m", "1", "-nostdin", "127.0.0.1:PORT"];
    serve(late.to_str().unwrap(), UDP, &[], client("sipp", &call, ""));
}

#[test]
fn gdb_asks_where_the_program_is_and_gdbserver_tells() {
    let ask = [
        "-nx",
        "-batch",
        "-ex",
        "set architecture i386:x86-64",
        "-ex",
        "target remote 127.0.0.1:PORT",
        "-ex",
        "info registers rip",
        "-ex",
        "kill",
    ];
    let said = serve("gdb.talk", TCP, &[], client("gdb", &ask, ""));
    assert!(said.contains("rip            0x12345678"), "{said}");
    need("gdbserver");
    let program = Peer::start_quietly(|port| {
        let mut command = Command::new("gdbserver");
        command.args(["--once", &format!("127.0.0.1:{port}"), "/bin/true"]);
        command
    });
    talk("gdb.talk", &format!("127.0.0.1:{}", program.port), &[]);
}

/// A network of its own, where multicast comes back. `upnpc` ends with 1, as what it finds is no router.
const MULTICAST: &str = r#"
sockeye=$1 talk=$2
cd "$3"
ip link set lo up
ip link set lo multicast on
ip route add 224.0.0.0/4 dev lo
"$sockeye" serve 'udp://0.0.0.0:1900?join=239.255.255.250' --play "$talk" --once --port-file port & server=$!
until [ -e port ]; do sleep 0.02; done
upnpc -m lo -P >found 2>&1 || true
wait $server
grep -q 'desc: http://127.0.0.1:8080/device.xml' found
cat >group.py <<END
import gi
gi.require_version('GSSDP', '1.6')
from gi.repository import GLib, GSSDP
client = GSSDP.Client.new_full('lo', None, 0, GSSDP.UDAVersion.VERSION_1_0)
group = GSSDP.ResourceGroup.new(client)
group.add_resource_simple('upnp:rootdevice', 'uuid:7::upnp:rootdevice', 'http://127.0.0.1:8080/')
group.set_available(True)
open('ready', 'w').close()
GLib.MainLoop().run()
END
/usr/bin/python3 group.py & group=$!
until [ -e ready ]; do sleep 0.02; done
"$sockeye" talk udp://239.255.255.250:1900 --play "$talk"
kill $group
"#;

#[test]
fn upnpc_finds_a_device_and_a_device_of_gssdp_answers() {
    let library = format!("/usr/lib/{}-linux-gnu/girepository-1.0/GSSDP-1.6.typelib", std::env::consts::ARCH);
    for program in ["unshare", "ip", "upnpc", PYTHONS_GI, &library] {
        need(program);
    }
    let folder = tempfile::tempdir().unwrap();
    // What it started ends with it, however it does.
    let namespaces = if rustix::process::geteuid().is_root() { "-nmpf" } else { "-rnmpf" };
    let mut command = Command::new("timeout");
    command.args(["60", "unshare", namespaces, "--mount-proc", "--kill-child", "sh", "-euc", MULTICAST, "sh"]);
    command.arg(support::BINARY).arg(support::transcript("ssdp.talk").canonicalize().unwrap()).arg(folder.path());
    support::assert_code(&run_command(&mut command, b""), 0);
}

/// How Python reaches GNOME's libraries.
const PYTHONS_GI: &str = "/usr/lib/python3/dist-packages/gi";
