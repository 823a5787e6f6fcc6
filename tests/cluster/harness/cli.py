"""The command line."""

import argparse
from pathlib import Path

from . import commands, process


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return arguments.run(arguments) or 0
    except process.Failure as failure:
        process.say(f"\nerror: {failure}")
        return 1
    except KeyboardInterrupt:
        process.say("\ninterrupted; run the same command again to go on")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests/cluster/cluster", description=(
        "A real Kubernetes cluster for the tests: one control plane, two workers, metrics, storage, and NodePorts "
        "30080-30089 on 127.0.0.1."))
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run, help: str) -> argparse.ArgumentParser:
        subparser = subcommands.add_parser(name, help=help, description=help)
        subparser.set_defaults(run=run)
        return subparser

    add("up", commands.up, "start the cluster, or repair it; does nothing when it is well")
    down = add("down", commands.down, "remove the cluster; caches and the docker engine stay")
    down.add_argument("--engine", action="store_true", help="also stop the docker daemon that `up` started")
    load = add("load", commands.load, "put images on all nodes")
    load.add_argument("image", nargs="+", help="a docker-archive file, or the name of an image in the local docker")
    tool = add("tool", commands.tool, "build one tool if need be and print its path")
    tool.add_argument("name", help="kubectl, helm, kind, kube-apiserver, etcd, …")
    image = add("image", commands.image, "assemble a small image around one dynamically linked program")
    image.add_argument("--tag", required=True, help="the image's name, for example mediaorigin:dev")
    image.add_argument("--binary", required=True, type=Path, help="the program, built for this machine")
    image.add_argument("--entrypoint", help="its path in the image; default: /usr/bin/ and its name")
    image.add_argument("--output", required=True, type=Path, help="the docker-archive file to write")
    add("status", commands.show, "say what is there and how it is doing; fails when something is not well")
    add("selfcheck", commands.check, "prove that the cluster can do what the tests need; takes under two minutes")
    add("env", commands.env, "print shell exports: KUBECONFIG, PATH with kubectl, helm and kind, the media port")
    return parser
