// The part of the `nats` command that the original's runner for Python calls for its object store:
// nats --server URL object put|get|del|info BUCKET [--name NAME | NAME]; contents by standard input and output.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/nats-io/nats.go"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	server := flag.String("server", nats.DefaultURL, "")
	flag.Parse()
	words := flag.Args()
	if len(words) < 3 || words[0] != "object" {
		return fmt.Errorf("usage: nats --server URL object put|get|del|info BUCKET [--name NAME | NAME]")
	}
	conn, err := nats.Connect(*server)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := conn.JetStream()
	if err != nil {
		return err
	}
	store, err := js.ObjectStore(words[2])
	if err != nil {
		return err
	}
	name := words[len(words)-1]
	switch words[1] {
	case "info":
		_, err = store.Status()
	case "put":
		var content []byte
		if content, err = io.ReadAll(os.Stdin); err == nil {
			_, err = store.PutBytes(name, content)
		}
	case "get":
		var content []byte
		if content, err = store.GetBytes(name); err == nil {
			_, err = os.Stdout.Write(content)
		}
	case "del":
		err = store.Delete(name)
	default:
		err = fmt.Errorf("no such command: %s", words[1])
	}
	return err
}
