//! The examples of docs/load.md, and of docs/many-machines.md: Slurm as it is, GNU parallel, and the manifest for Kubernetes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use support::*;

/// What stands in the page in blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let page = fs::read_to_string(page).unwrap();
    let page = format!("\n{page}");
    let blocks = page.split("\n```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix(&format!("{language}\n"))).map(str::to_owned).collect()
}

const MANY: &str = "many-machines.md";

/// What is asked and answered, again and again.
const GREET: &str = "C: {name=Michael|Tracy}\nS: Hello, {name}!\n";

/// A server of it, and a folder with its transcript and `sockeye` on the way to programs.
fn stage() -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("greet.talk"), GREET).unwrap();
    fs::write(path("server.talk"), format!("repeat\n  {}end\n", GREET.replace('\n', "\n  ").trim_end_matches(' ')))
        .unwrap();
    fs::create_dir(path("bin")).unwrap();
    std::os::unix::fs::symlink(BINARY, path("bin/sockeye")).unwrap();
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", path("server.talk").to_str().unwrap()]);
    (folder, server)
}

/// Runs an example in a folder.
fn example(text: &str, folder: &Path, server: &Server, variables: &[(&str, &str)]) -> Output {
    let paths = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-e", "-c", text]).current_dir(folder).env("PATH", paths).env("HOME", folder);
    command.env("TARGET", server.address()).envs(variables.iter().copied());
    run_command(&mut command, b"")
}

fn saved(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_examples_of_the_page_about_load_run_as_they_stand_there() {
    let (folder, server) = stage();
    assert!(
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/load.md")).unwrap().contains(GREET)
    );
    let [first, python, comparing] = &blocks("load.md", "sh")[..] else { panic!("there are three") };
    for text in [first, python, comparing] {
        let output = example(text, folder.path(), &server, &[]);
        assert_code(&output, 0);
    }
    let open = saved(folder.path().join("open.json"));
    assert_eq!(
        (&open["loop"]["kind"], &open["loop"]["rate"], &open["failures"]),
        (&"open".into(), &500.0.into(), &0.into())
    );
    // Every name in the table is in the file, or of merged runs alone.
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/load.md")).unwrap();
    let rows =
        page.lines().skip_while(|line| !line.starts_with("| name |")).skip(2).take_while(|line| line.starts_with('|'));
    let names: Vec<&str> = rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names.iter().filter(|name| !["merged", "within", "gaps"].contains(name)) {
        assert!(!open[*name].is_null() || (*name == "shard" && open.get("shard").is_some()), "{name}");
    }
    for name in open.as_object().unwrap().keys() {
        assert!(names.contains(&name.as_str()), "{name} is not told");
    }
}

/// Munge and Slurm on this machine, with everything they have in one folder.
struct Slurm {
    daemons: Vec<Child>,
    folder: tempfile::TempDir,
}

impl Slurm {
    fn start() -> Self {
        for program in ["munged", "slurmctld", "slurmd", "srun"] {
            need(program);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["munge", "state", "spool"] {
            fs::create_dir(path(name)).unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(0o700)).unwrap();
        }
        fs::write(path("munge/key"), [7; 64]).unwrap();
        fs::set_permissions(path("munge/key"), fs::Permissions::from_mode(0o400)).unwrap();
        let at = folder.path().display().to_string();
        let host = text(&Command::new("hostname").arg("-s").output().unwrap().stdout).trim().to_owned();
        // Ports that are free now: these daemons cannot be told to choose.
        let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [controller, node] = held.each_ref().map(|listener| listener.local_addr().unwrap().port());
        drop(held);
        fs::write(
            path("slurm.conf"),
            format!(
                "ClusterName=here\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser=root\nSlurmctldPort={controller}\nSlurmdPort={node}\n\
                 AuthType=auth/munge\nAuthInfo=socket={at}/munge/socket\nCredType=cred/munge\nStateSaveLocation={at}/state\n\
                 SlurmdSpoolDir={at}/spool\nSlurmctldPidFile={at}/controller.pid\nSlurmdPidFile={at}/node.pid\n\
                 SlurmctldLogFile={at}/controller.log\nSlurmdLogFile={at}/node.log\nProctrackType=proctrack/linuxproc\n\
                 TaskPlugin=task/none\nSelectType=select/cons_tres\nSwitchType=switch/none\nMpiDefault=none\nReturnToService=2\n\
                 NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN\nPartitionName=all Nodes=ALL Default=YES State=UP\n"
            ),
        )
        .unwrap();
        let daemon = |program: &str, arguments: &[String]| {
            let mut command = Command::new(program);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let of = |name: &str, file: &str| format!("--{name}={at}/munge/{file}");
        let files = [
            of("key-file", "key"),
            of("socket", "socket"),
            of("pid-file", "pid"),
            of("log-file", "log"),
            of("seed-file", "seed"),
        ];
        let words = [&["--foreground".to_owned(), "--force".to_owned()][..], &files].concat();
        let mut daemons = vec![daemon("munged", &words)];
        until("munge answers", || path("munge/socket").exists());
        let conf = format!("{at}/slurm.conf");
        for program in ["slurmctld", "slurmd"] {
            daemons.push(daemon(program, &["-D".to_owned(), "-f".to_owned(), conf.clone()]));
        }
        let slurm = Self { daemons, folder };
        until("Slurm has its node", || {
            let asked =
                Command::new("sinfo").args(["-h", "-o", "%T"]).env("SLURM_CONF", slurm.configuration()).output();
            text(&asked.unwrap().stdout).trim() == "idle"
        });
        slurm
    }

    fn configuration(&self) -> String {
        self.folder.path().join("slurm.conf").display().to_string()
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

#[test]
fn two_tasks_of_slurm_become_one_run() {
    let slurm = Slurm::start();
    let (folder, server) = stage();
    let output = example(&blocks(MANY, "sh")[0], folder.path(), &server, &[("SLURM_CONF", &slurm.configuration())]);
    assert_code(&output, 0);
    let all = saved(folder.path().join("all.json"));
    let shards = [0, 1].map(|index| saved(folder.path().join(format!("shard-{index}.json"))));
    for (index, shard) in shards.iter().enumerate() {
        assert_eq!(
            (&shard["shard"]["index"], &shard["shard"]["of"]),
            (&(index + 1).into(), &2.into()),
            "as Slurm says"
        );
        assert_eq!(shard["connections"], 4, "half of them");
    }
    let sum: u64 = shards.iter().map(|shard| shard["exchanges"].as_u64().unwrap()).sum();
    assert!(sum > 0 && all["exchanges"] == sum && all["failures"] == 0, "{}", text(&output.stdout));
    assert!(!text(&output.stderr).contains("missing"), "{}", text(&output.stderr));
    // A shard that fails is an exit code of srun.
    let wrong = "srun --ntasks=2 sockeye load tcp://127.0.0.1:1 --play greet.talk --plays 2";
    let output = example(wrong, folder.path(), &server, &[("SLURM_CONF", &slurm.configuration())]);
    assert_code(&output, 7);
}

#[test]
fn two_jobs_of_parallel_become_one_run() {
    need("parallel");
    let (folder, server) = stage();
    let output = example(&blocks(MANY, "sh")[1], folder.path(), &server, &[]);
    assert_code(&output, 0);
    let said = text(&output.stdout);
    assert!(
        said.contains("part-1.json    1/2") && said.contains("part-2.json    2/2"),
        "{said}{}",
        text(&output.stderr)
    );
}

/// Each scalar of a block of YAML with the way to it, in the part of the language that manifests are written in: maps, lists
/// and scalars on lines of their own.
fn scalars(yaml: &str) -> Vec<(String, String)> {
    let (mut found, mut way): (Vec<_>, Vec<(usize, String)>) = (Vec::new(), Vec::new());
    for line in yaml.lines().filter(|line| !line.trim().is_empty()) {
        let mut indent = line.len() - line.trim_start().len();
        let mut rest = line.trim();
        way.retain(|(depth, _)| *depth < indent);
        while let Some(item) = rest.strip_prefix("- ") {
            way.push((indent, "[]".to_owned()));
            indent += 2;
            rest = item;
        }
        let path = |way: &[(usize, String)]| way.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join("/");
        match rest.split_once(':') {
            Some((key, value)) if value.is_empty() || value.starts_with(' ') => {
                way.push((indent, key.to_owned()));
                if !value.trim().is_empty() {
                    found.push((path(&way), value.trim().to_owned()));
                }
            }
            _ => found.push((path(&way), rest.to_owned())),
        }
    }
    found
}

#[test]
fn the_manifest_is_an_indexed_job_whose_pods_know_which_shard_they_are() {
    let manifest = &blocks(MANY, "yaml")[0];
    let found = scalars(manifest);
    let all =
        |way: &str| found.iter().filter(|(path, _)| path == way).map(|(_, value)| value.as_str()).collect::<Vec<_>>();
    let container = "spec/template/spec/containers/[]";
    for (way, value) in [
        ("apiVersion", "batch/v1"),
        ("kind", "Job"),
        ("spec/completionMode", "Indexed"),
        ("spec/template/spec/restartPolicy", "Never"),
    ] {
        assert_eq!(all(way), [value], "{way}");
    }
    let arguments = all(&format!("{container}/args/[]"));
    let count = all("spec/completions")[0];
    assert_eq!(all("spec/parallelism"), [count], "all at once");
    assert!(arguments.contains(&format!("--shards={count}").as_str()), "{arguments:?}");
    assert!(arguments.contains(&"--save=/results/shard-$(JOB_COMPLETION_INDEX).json"), "{arguments:?}");
    let volumes = all("spec/template/spec/volumes/[]/name");
    assert_eq!(all(&format!("{container}/volumeMounts/[]/name")), volumes, "what is mounted is there");
    // The program takes these words, with the variable that Kubernetes sets: it gets as far as looking the server up.
    let (folder, server) = stage();
    let here = |word: &str| {
        let address = format!("tcp://{}", server.address());
        let word =
            word.replace("tcp://server.default.svc:9999", &address).replace("/transcripts/", "").replace("60s", "1s");
        word.replace("/results/", "")
            .replace("$(JOB_COMPLETION_INDEX)", "2")
            .replace("START_AT", "2026-01-01T00:00:00Z")
    };
    let words: Vec<String> = arguments.iter().map(|word| here(word)).collect();
    let mut command = command(&[]);
    let output = run_command(command.args(&words).current_dir(folder.path()).env("JOB_COMPLETION_INDEX", "2"), b"");
    assert_code(&output, 0);
    let run = saved(folder.path().join("shard-2.json"));
    assert_eq!(
        (&run["shard"]["index"], &run["shard"]["of"], &run["loop"]["rate"]),
        (&3.into(), &4.into(), &1000.0.into())
    );
}

/// With the schemas of Kubernetes itself, where PyPI's kubernetes-validate is there or can be had.
#[test]
fn the_manifest_keeps_to_the_schemas_of_kubernetes() {
    let Some(program) = packages::python("kubernetes-validate", "kubernetes_validate") else { return };
    let folder = tempfile::tempdir().unwrap();
    let validate = |manifest: &str| {
        let path = folder.path().join("job.yaml");
        fs::write(&path, manifest).unwrap();
        Command::new(&program).args(["-m", "kubernetes_validate", "--strict"]).arg(&path).output().unwrap()
    };
    let manifest = &blocks(MANY, "yaml")[0];
    let output = validate(manifest);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    for wrong in [
        manifest.replace("completionMode:", "completionmode:"),
        manifest.replace("completions: 4", "completions: four"),
    ] {
        assert!(!validate(&wrong).status.success(), "it lets everything pass");
    }
}
