//! More of `transcripts/`, each against a real other end: databases, brokers, phones and debuggers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use support::played::{TCP, client, python, serve, server, talk};

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
