// What pgx makes of the arguments of prism.publish(): test/t/drivers.pl reads a line for each call, "name outcome".
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var binary = []byte{0x00, 0xff, 0x10}

func report(ctx context.Context, conn *pgx.Conn, mode pgx.QueryExecMode, name string, query string, arguments ...any) {
	name = fmt.Sprintf("pgx-%s-%s", strings.ReplaceAll(mode.String(), " ", "_"), name)
	_, err := conn.Exec(ctx, query, append([]any{mode, name}, arguments...)...)
	var refused *pgconn.PgError
	switch {
	case err == nil:
		fmt.Println(name, "ok")
	case errors.As(err, &refused):
		fmt.Println(name, refused.Code)
	default:
		fmt.Println(name, "client", err)
	}
}

func main() {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, "")
	if err != nil {
		panic(err)
	}
	defer conn.Close(ctx)
	const one, batch = "SELECT prism.publish('drivers', $2%s, $1)", "SELECT prism.publish_batch('drivers', $2%s, ARRAY[$1])"
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe,
		pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		report(ctx, conn, mode, "bytes", fmt.Sprintf(one, ""), binary)
		report(ctx, conn, mode, "bytes-typed", fmt.Sprintf(one, "::bytea"), binary)
		report(ctx, conn, mode, "json", fmt.Sprintf(one, ""), `{"a": "\\"}`)
		report(ctx, conn, mode, "json-typed", fmt.Sprintf(one, "::jsonb"), `{"a": "\\"}`)
		report(ctx, conn, mode, "batch-bytes", fmt.Sprintf(batch, ""), [][]byte{binary})
		report(ctx, conn, mode, "batch-bytes-typed", fmt.Sprintf(batch, "::bytea[]"), [][]byte{binary})
		report(ctx, conn, mode, "batch-json", fmt.Sprintf(batch, ""), []string{`{"a": "\\"}`})
		report(ctx, conn, mode, "batch-json-typed", fmt.Sprintf(batch, "::text[]"), []string{`{"a": "\\"}`})
	}
}
