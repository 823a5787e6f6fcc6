// What this machine can grant, and how a process request is lowered to it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// capabilityNames is indexed by the kernel's capability number.
var capabilityNames = strings.Fields(`CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL
	CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN
	CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE
	CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG
	CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG
	CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE`)

var limitNumbers = map[string]int{
	"RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_RSS": 5,
	"RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10,
	"RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
}

func trimProcess(process map[string]any) error {
	granted, err := grantedCapabilities()
	if err != nil {
		return err
	}
	if sets, ok := process["capabilities"].(map[string]any); ok {
		for name, set := range sets {
			sets[name] = keep(set, granted)
		}
	}
	if limits, ok := process["rlimits"].([]any); ok {
		for _, limit := range limits {
			if err := lowerLimit(limit); err != nil {
				return err
			}
		}
	}
	return raiseOomScore(process)
}

func grantedCapabilities() (map[string]bool, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, fmt.Errorf("read the bounding set: %w", err)
	}
	_, rest, found := strings.Cut(string(status), "CapBnd:")
	if !found {
		return nil, fmt.Errorf("read the bounding set: no CapBnd in /proc/self/status")
	}
	mask, err := strconv.ParseUint(strings.Fields(rest)[0], 16, 64)
	if err != nil {
		return nil, fmt.Errorf("parse the bounding set: %w", err)
	}
	granted := map[string]bool{}
	for number, name := range capabilityNames {
		granted[name] = mask&(1<<number) != 0
	}
	return granted, nil
}

func keep(set any, granted map[string]bool) []string {
	kept := []string{}
	names, _ := set.([]any)
	for _, name := range names {
		if text, ok := name.(string); ok && granted[text] {
			kept = append(kept, text)
		}
	}
	return kept
}

func lowerLimit(limit any) error {
	request, ok := limit.(map[string]any)
	if !ok {
		return nil
	}
	name, _ := request["type"].(string)
	number, known := limitNumbers[name]
	if !known {
		return nil
	}
	var inForce syscall.Rlimit
	if err := syscall.Getrlimit(number, &inForce); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	for _, field := range []string{"hard", "soft"} {
		wanted, ok := request[field].(json.Number)
		if !ok {
			continue
		}
		value, err := strconv.ParseUint(wanted.String(), 10, 64)
		if err != nil {
			return fmt.Errorf("parse %s of %s: %w", field, name, err)
		}
		request[field] = min(value, inForce.Max)
	}
	return nil
}

// raiseOomScore: lowering the score below the current one needs CAP_SYS_RESOURCE.
func raiseOomScore(process map[string]any) error {
	wanted, ok := process["oomScoreAdj"].(json.Number)
	if !ok {
		return nil
	}
	score, err := strconv.Atoi(wanted.String())
	if err != nil {
		return fmt.Errorf("parse oomScoreAdj %q: %w", wanted, err)
	}
	text, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return fmt.Errorf("read the current oom score: %w", err)
	}
	current, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("parse the current oom score: %w", err)
	}
	process["oomScoreAdj"] = max(score, current)
	return nil
}
