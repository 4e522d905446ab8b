// Package kre is a runner for nodes in Go that does on the bus what the original's does, written from its contract for
// tests. It never looks at message types, never retries, and never settles a message in another way than by ack. Of the
// original's defects it has those that others see on the bus, not the context that its subscriptions share.
package kre

import (
	"fmt"
	"os"
	"strings"
)

type environment struct {
	version, node, basePath      string
	server, stream, output       string
	inputs                       []string
	project, workflow, nodeStore string
	objectStore                  string
}

// All of them must be there; an empty value will do.
var mandatory = []string{
	"KRT_RUNTIME_ID", "KRT_VERSION_ID", "KRT_VERSION", "KRT_WORKFLOW_NAME", "KRT_NODE_NAME", "KRT_BASE_PATH",
	"KRT_NATS_SERVER", "KRT_NATS_STREAM", "KRT_NATS_INPUTS", "KRT_NATS_OUTPUT",
	"KRT_NATS_KEY_VALUE_STORE_PROJECT", "KRT_NATS_KEY_VALUE_STORE_WORKFLOW", "KRT_NATS_KEY_VALUE_STORE_NODE",
	"KRT_NATS_MONGO_WRITER", "KRT_MONGO_URI", "KRT_INFLUX_URI",
}

func readEnvironment() (*environment, error) {
	var missing []string
	for _, name := range mandatory {
		if _, there := os.LookupEnv(name); !there {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("missing in the environment: %s", strings.Join(missing, ", "))
	}
	return &environment{
		version:     os.Getenv("KRT_VERSION"),
		node:        os.Getenv("KRT_NODE_NAME"),
		basePath:    os.Getenv("KRT_BASE_PATH"),
		server:      os.Getenv("KRT_NATS_SERVER"),
		stream:      os.Getenv("KRT_NATS_STREAM"),
		output:      os.Getenv("KRT_NATS_OUTPUT"),
		inputs:      strings.Split(os.Getenv("KRT_NATS_INPUTS"), ","),
		project:     os.Getenv("KRT_NATS_KEY_VALUE_STORE_PROJECT"),
		workflow:    os.Getenv("KRT_NATS_KEY_VALUE_STORE_WORKFLOW"),
		nodeStore:   os.Getenv("KRT_NATS_KEY_VALUE_STORE_NODE"),
		objectStore: os.Getenv("KRT_NATS_OBJECT_STORE"),
	}, nil
}
