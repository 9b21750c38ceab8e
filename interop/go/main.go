// Command interop drives the unmodified Go client through scenarios, as the Java driver does with the Java client.
//
// It prints one line of JSON a scenario and, when a scenario wants something done to the servers, an "ask" line that the
// runner answers on standard input. Scenarios joined by commas run side by side, words one after the other. The exit code
// is 1 when a promise was broken and 2 when the command was misused.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// patience is how long a thing that works may take on a busy machine.
const patience = 60 * time.Second

// scenario is one promise, or a few, made to an application.
type scenario func(w *world)

var scenarios = map[string]scenario{
	"go-send":            sends,
	"go-batch":           batches,
	"go-order":           ordered,
	"go-delay":           delays,
	"go-tags":            tags,
	"go-push":            pushes,
	"go-broadcast":       broadcasts,
	"go-orderly":         orderly,
	"go-pull":            pulls,
	"go-retry-dlq":       retries,
	"go-request":         requests,
	"go-admin":           admins,
	"go-rolling-restart": rollingRestart,
}

// world is what a scenario works with: names of its own, clients that are closed afterwards, and what was broken.
type world struct {
	namesrv, broker, prefix, name string

	mutex   sync.Mutex
	broken  []string
	saw     map[string]any
	closing []func()
	clients int
}

func (w *world) expect(holds bool, format string, words ...any) {
	if !holds {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		w.broken = append(w.broken, fmt.Sprintf(format, words...))
	}
}

// must ends the scenario when something that it stands on failed.
func (w *world) must(err error, what string) {
	if err != nil {
		panic(fmt.Sprintf("%s: %v", what, err))
	}
}

func (w *world) note(key string, value any) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.saw[key] = value
}

func (w *world) later(deed func()) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.closing = append(w.closing, deed)
}

func (w *world) called(what string) string {
	return w.prefix + "-" + w.name + "-" + what
}

// until waits for a condition; it is looked at every few milliseconds.
func (w *world) until(what string, holds func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(15 * time.Millisecond) {
		if holds() {
			return true
		}
	}
	w.expect(false, "waited %v in vain for %s", patience, what)
	return false
}

var (
	asking sync.Mutex
	out    = json.NewEncoder(os.Stdout)
	in     = bufio.NewReader(os.Stdin)
	saying sync.Mutex
)

func say(line map[string]any) {
	saying.Lock()
	defer saying.Unlock()
	_ = out.Encode(line)
}

// ask has the runner do something to the servers.
func (w *world) ask(what string) string {
	asking.Lock()
	defer asking.Unlock()
	say(map[string]any{"ask": what})
	answer, err := in.ReadString('\n')
	if err != nil || !strings.HasPrefix(answer, "ok") {
		panic(fmt.Sprintf("the runner could not %s: %s %v", what, answer, err))
	}
	return strings.TrimSpace(answer[2:])
}

func (w *world) run(deed scenario) bool {
	began := time.Now()
	func() {
		defer func() {
			if trouble := recover(); trouble != nil {
				w.expect(false, "%v", trouble)
			}
		}()
		deed(w)
	}()
	for i := len(w.closing) - 1; i >= 0; i-- {
		w.closing[i]()
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.broken == nil {
		w.broken = []string{}
	}
	say(map[string]any{
		"scenario": w.name, "ok": len(w.broken) == 0, "broken": w.broken, "saw": w.saw,
		"ms": time.Since(began).Milliseconds(),
	})
	return len(w.broken) == 0
}

func main() {
	options, wanted := map[string]string{"prefix": "go"}, []string{}
	for i := 1; i < len(os.Args); i++ {
		if strings.HasPrefix(os.Args[i], "--") && i+1 < len(os.Args) {
			options[os.Args[i][2:]] = os.Args[i+1]
			i++
		} else {
			wanted = append(wanted, os.Args[i])
		}
	}
	for _, name := range strings.Split(strings.Join(wanted, ","), ",") {
		if scenarios[name] == nil || options["namesrv"] == "" {
			fmt.Fprintln(os.Stderr, "usage: interop --namesrv ADDR --broker ADDR scenario[,scenario…] …; unknown:", name)
			os.Exit(2)
		}
	}
	rlog.SetLogLevel("error")
	allOK := true
	for _, group := range wanted {
		var running sync.WaitGroup
		var mutex sync.Mutex
		for _, name := range strings.Split(group, ",") {
			running.Add(1)
			go func(name string) {
				defer running.Done()
				w := &world{
					namesrv: options["namesrv"], broker: options["broker"], prefix: options["prefix"], name: name,
					saw: map[string]any{},
				}
				ok := w.run(scenarios[name])
				mutex.Lock()
				defer mutex.Unlock()
				allOK = allOK && ok
			}(name)
		}
		running.Wait()
	}
	if !allOK {
		os.Exit(1)
	}
}
