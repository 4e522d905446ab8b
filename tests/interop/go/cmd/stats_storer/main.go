// Node `stats-storer` of the classificator in Go: counts what a batch was about, keeps totals, and says both.
package main

import (
	"errors"
	"fmt"
	"sort"
	"strconv"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/types/known/anypb"

	"krt.test/interop/kre"
	"krt.test/interop/pb/internal_nodes"
)

func store(ctx *kre.Context, data *anypb.Any) error {
	batch := &internal_nodes.ClassifiedBatch{}
	// An ERROR has no payload: it goes on as an ERROR of this node.
	if err := data.UnmarshalTo(batch); err != nil {
		return err
	}
	counts := map[string]uint32{}
	for _, email := range batch.Emails {
		counts[email.Category]++
	}
	text, err := ctx.Configuration.Get("emails")
	if err != nil && !errors.Is(err, nats.ErrKeyNotFound) {
		return err
	}
	before, _ := strconv.ParseUint(text, 10, 64)
	total := before + uint64(len(batch.Emails))
	if err := ctx.Configuration.Set("emails", strconv.FormatUint(total, 10)); err != nil {
		return err
	}
	statistics := &internal_nodes.Statistics{
		Emails:      uint32(len(batch.Emails)),
		EmailsSoFar: total,
		Path:        append(batch.Path, ctx.Node()),
	}
	for category, count := range counts {
		statistics.Counts = append(statistics.Counts, &internal_nodes.Count{Category: category, Count: count})
	}
	byName := statistics.Counts
	sort.Slice(byName, func(i, j int) bool { return byName[i].Category < byName[j].Category })
	table := "category\temails\n"
	for _, it := range byName {
		table += fmt.Sprintf("%s\t%d\n", it.Category, it.Count)
	}
	if err := ctx.ObjectStore.Save("latest.tsv", []byte(table)); err != nil {
		return err
	}
	sort.SliceStable(byName, func(i, j int) bool { return byName[i].Count > byName[j].Count })
	return ctx.SendOutput(statistics)
}

func main() {
	kre.Start(nil, nil, map[string]kre.Handler{"email-classificator": store})
}
