// Command refit-pstest is Google's in-memory Pub/Sub server as a process of its own, for tests.
//
// It listens on the port of this machine that its argument names, over gRPC only, with the topics
// projects/refit/topics/t0 to t15, each with a subscription projects/refit/subscriptions/s0 to s15,
// and runs until it is killed.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
)

const (
	topics             = 16
	ackDeadlineSeconds = 10
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: refit-pstest PORT")
	}
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatalf("not a port: %v", err)
	}
	server := pstest.NewServerWithPort(port)
	for number := range topics {
		if err := create(server, number); err != nil {
			log.Fatalf("cannot create topic %d: %v", number, err)
		}
	}
	fmt.Println("listening at", server.Addr)
	select {}
}

func create(server *pstest.Server, number int) error {
	topic := fmt.Sprintf("projects/refit/topics/t%d", number)
	if _, err := server.GServer.CreateTopic(context.Background(), &pubsubpb.Topic{Name: topic}); err != nil {
		return err
	}
	_, err := server.GServer.CreateSubscription(context.Background(), &pubsubpb.Subscription{
		Name:               fmt.Sprintf("projects/refit/subscriptions/s%d", number),
		Topic:              topic,
		AckDeadlineSeconds: ackDeadlineSeconds,
	})
	return err
}
