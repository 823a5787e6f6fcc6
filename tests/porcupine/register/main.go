// Judges histories of registers: a JSON object per line on standard input, the paths that are not linearizable on standard output.
//
// {"path": "/a", "began": 1, "ended": 4, "did": {"Write": 7}} made 7 the value, {"Write": null} took it away; {"Read": 7} was told 7,
// {"Remove": true} took away what was there. "ended" is null where nobody knows what became of the operation: it happened at any time
// after it began, or never.
//
// Exit status: 0 all are linearizable, 1 some are not, 2 the input makes no sense, 3 not decided in time.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

const patience = 5 * time.Minute

type line struct {
	Path  string `json:"path"`
	Began int64  `json:"began"`
	Ended *int64 `json:"ended"`
	Did   did    `json:"did"`
}

// did is what was done: one of the three. What is written and read may be null, so its presence counts.
type did struct {
	kind  string
	value uint64
	isSet bool
	// Of deletions of which nobody knows what became of them: which of them it is, from 1 on.
	lost int
}

func (d *did) UnmarshalJSON(text []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	if len(fields) != 1 {
		return fmt.Errorf("one of Write, Read and Remove: %s", text)
	}
	for kind, value := range fields {
		d.kind = kind
		switch kind {
		case "Write", "Read":
			var number *uint64
			if err := json.Unmarshal(value, &number); err != nil {
				return err
			}
			if number != nil {
				d.value, d.isSet = *number, true
			}
		case "Remove":
			if err := json.Unmarshal(value, &d.isSet); err != nil {
				return err
			}
		default:
			return fmt.Errorf("neither Write, Read nor Remove: %s", kind)
		}
	}
	return nil
}

// register is a state: the value, if there is one, and how many deletions of unknown outcome have happened.
type register struct {
	value uint64
	isSet bool
	lost  int
}

var model = porcupine.Model{
	Init: func() any { return register{} },
	// The output is whether the outcome is known.
	Step: func(state, input, output any) (bool, any) {
		before, op, known := state.(register), input.(did), output.(bool)
		switch op.kind {
		case "Write":
			if op.lost > 0 {
				return before.lost == op.lost-1, register{lost: op.lost}
			}
			return true, register{op.value, op.isSet, before.lost}
		case "Read":
			return before == register{op.value, op.isSet, before.lost}, before
		default:
			return !known || before.isSet == op.isSet, register{lost: before.lost}
		}
	},
}

func read(input io.Reader) (map[string][]porcupine.Operation, error) {
	histories := map[string][]porcupine.Operation{}
	decoder := json.NewDecoder(input)
	decoder.DisallowUnknownFields()
	for client := 0; ; client++ {
		var next line
		if err := decoder.Decode(&next); errors.Is(err, io.EOF) {
			return histories, nil
		} else if err != nil {
			return nil, fmt.Errorf("operation %d: %w", client, err)
		}
		if next.Did.kind == "" {
			return nil, fmt.Errorf("operation %d did nothing", client)
		}
		operation := porcupine.Operation{ClientId: client, Input: next.Did, Call: next.Began, Output: true, Return: math.MaxInt64}
		if next.Ended != nil {
			operation.Return = *next.Ended
			if operation.Return < operation.Call {
				return nil, fmt.Errorf("operation %d ended before it began", client)
			}
		} else if next.Did.kind == "Read" {
			// Nobody was told anything.
			continue
		} else {
			operation.Output = false
		}
		histories[next.Path] = append(histories[next.Path], operation)
	}
}

// decidable is the same history for the judge, with less to try: what nobody knows the outcome of may happen at any time until the end, and
// each such operation doubles what there is to try.
//
// Those that wrote what nobody has read are left out. In an order that has one, nobody reads between it and the next change, so without
// it the order explains the same; and to an order without it, it can be added at the end. (Where removals say whether there was
// something, somebody may have seen it that way: then all stay.)
//
// Those that took the value away happen in the order in which they began: of two in the other order each can stand in the place of the
// other, as they do the same and neither has an end.
func decidable(history []porcupine.Operation) []porcupine.Operation {
	wasRead, hasRemovals := map[uint64]bool{}, false
	for _, operation := range history {
		op := operation.Input.(did)
		if op.kind == "Read" && op.isSet {
			wasRead[op.value] = true
		}
		hasRemovals = hasRemovals || op.kind == "Remove"
	}
	sort.SliceStable(history, func(one, other int) bool { return history[one].Call < history[other].Call })
	kept, lost := []porcupine.Operation{}, 0
	for _, operation := range history {
		op := operation.Input.(did)
		if op.kind == "Write" && !operation.Output.(bool) {
			if op.isSet && !wasRead[op.value] && !hasRemovals {
				continue
			}
			if !op.isSet {
				lost++
				op.lost = lost
				operation.Input = op
			}
		}
		kept = append(kept, operation)
	}
	return kept
}

func main() {
	histories, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	paths := make([]string, 0, len(histories))
	for path := range histories {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	status := 0
	for _, path := range paths {
		switch porcupine.CheckOperationsTimeout(model, decidable(histories[path]), patience) {
		case porcupine.Illegal:
			fmt.Println(path)
			status = max(status, 1)
		case porcupine.Unknown:
			fmt.Fprintf(os.Stderr, "%s: not decided\n", path)
			status = 3
		}
	}
	os.Exit(status)
}
