// Node `exitpoint` of the classificator in Go: whatever it sends answers the caller, and the first answer counts.
package main

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/anypb"

	"krt.test/interop/kre"
	"krt.test/interop/pb/internal_nodes"
	"krt.test/interop/pb/public"
)

// Hears from `etl` only for the sake of early replies and errors.
func early(ctx *kre.Context, data *anypb.Any) error {
	if ctx.IsMessageError() {
		return errors.New("the batch could not be read")
	}
	if !ctx.IsMessageEarlyReply() && !ctx.IsMessageEarlyExit() {
		return nil
	}
	answer := &public.Response{}
	if err := data.UnmarshalTo(answer); err != nil {
		return err
	}
	answer.Path = append(answer.Path, ctx.Node())
	return ctx.SendOutput(answer)
}

func answer(ctx *kre.Context, data *anypb.Any) error {
	statistics := &internal_nodes.Statistics{}
	if err := data.UnmarshalTo(statistics); err != nil {
		return err
	}
	response := &public.Response{
		Message:     fmt.Sprintf("%d e-mails classified", statistics.Emails),
		Emails:      statistics.Emails,
		EmailsSoFar: statistics.EmailsSoFar,
		Path:        append(statistics.Path, ctx.Node()),
	}
	for _, it := range statistics.Counts {
		response.Categories = append(response.Categories, &public.CategoryCount{Category: it.Category, Count: it.Count})
	}
	return ctx.SendOutput(response)
}

func main() {
	kre.Start(nil, nil, map[string]kre.Handler{"etl": early, "stats-storer": answer})
}
