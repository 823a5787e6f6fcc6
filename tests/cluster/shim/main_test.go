package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFindsTheFileOfTheCall(t *testing.T) {
	for _, call := range []struct{ line, command, flag, value string }{
		{"--root /r --log l create --bundle /b id", "create", "--bundle", "/b"},
		{"--root /r run -b=/b id", "run", "--bundle", "/b"},
		{"exec --process /p --detach id", "exec", "--process", "/p"},
		{"--root /r create id", "create", "--bundle", "fallback"},
		{"--root /r kill id KILL", "", "--bundle", "fallback"},
	} {
		command, flags := split(strings.Fields(call.line))
		short := map[string]string{"--bundle": "-b", "--process": "-p"}[call.flag]
		value := flagValue(flags, call.flag, short, "fallback")
		if command != call.command || value != call.value {
			t.Errorf("%q: got %q with %q", call.line, command, value)
		}
	}
}

func TestKeepsOnlyGrantedCapabilities(t *testing.T) {
	kept := keep([]any{"CAP_CHOWN", "CAP_SYS_RESOURCE"}, map[string]bool{"CAP_CHOWN": true})
	if !slices.Equal(kept, []string{"CAP_CHOWN"}) {
		t.Errorf("kept %v", kept)
	}
}

func TestTrimsABundleAndKeepsTheRest(t *testing.T) {
	bundle := t.TempDir()
	file := filepath.Join(bundle, "config.json")
	config := `{"process":{"oomScoreAdj":-1000,"rlimits":[{"type":"RLIMIT_NOFILE","hard":18446744073709551615,"soft":8}]},
		"linux":{"resources":{"memory":{"limit":9223372036854771712}}}}`
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := trimRequest([]string{"create", "--bundle", bundle, "id"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "9223372036854771712") {
		t.Errorf("a large number changed: %s", text)
	}
	var edited struct {
		Process struct {
			OomScoreAdj int
			Rlimits     []struct{ Hard, Soft uint64 }
		}
	}
	if err := json.Unmarshal(text, &edited); err != nil {
		t.Fatal(err)
	}
	limit := edited.Process.Rlimits[0]
	if limit.Soft != 8 || limit.Hard < limit.Soft {
		t.Errorf("limits are %+v", limit)
	}
	if edited.Process.OomScoreAdj < -1000 || edited.Process.OomScoreAdj > 1000 {
		t.Errorf("the score is %d", edited.Process.OomScoreAdj)
	}
}
