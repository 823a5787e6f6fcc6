// The OCI runtime that dockerd calls on a machine whose capability bounding set is short: it trims each
// container's request to what the machine can grant, then becomes runc. Without it `--privileged` fails.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	if err := trimRequest(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "runc-shim:", err)
		os.Exit(1)
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		fmt.Fprintln(os.Stderr, "runc-shim: find runc:", err)
		os.Exit(1)
	}
	args := append([]string{runc}, os.Args[1:]...)
	fmt.Fprintln(os.Stderr, "runc-shim: start runc:", syscall.Exec(runc, args, os.Environ()))
	os.Exit(1)
}

// trimRequest edits the file that holds the container's or the exec's process, if this call has one.
func trimRequest(args []string) error {
	command, flags := split(args)
	switch command {
	case "create", "run":
		bundle := flagValue(flags, "--bundle", "-b", ".")
		return rewrite(filepath.Join(bundle, "config.json"), func(document map[string]any) error {
			process, ok := document["process"].(map[string]any)
			if !ok {
				return nil
			}
			return trimProcess(process)
		})
	case "exec":
		file := flagValue(flags, "--process", "-p", "")
		if file == "" {
			return nil
		}
		return rewrite(file, trimProcess)
	}
	return nil
}

// split finds runc's subcommand among its global flags.
func split(args []string) (string, []string) {
	for i, arg := range args {
		switch arg {
		case "create", "run", "exec":
			return arg, args[i+1:]
		}
	}
	return "", nil
}

func flagValue(flags []string, long, short, fallback string) string {
	for i, flag := range flags {
		if name, value, found := strings.Cut(flag, "="); found && (name == long || name == short) {
			return value
		}
		if (flag == long || flag == short) && i+1 < len(flags) {
			return flags[i+1]
		}
	}
	return fallback
}

// rewrite keeps every number as it was written: limits above 2^53 would not survive a float.
func rewrite(path string, edit func(map[string]any) error) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		return fmt.Errorf("parse %s: %w", path, err)
	}
	if err := edit(document); err != nil {
		return err
	}
	edited, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("print %s: %w", path, err)
	}
	if err := os.WriteFile(path, edited, 0o600); err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	return nil
}
