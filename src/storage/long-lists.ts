/**
 * How either database is asked with a long list: it stands in the statement as one parameter. PostgreSQL takes 65,535 of
 * them and SQLite 250,000, and a person alone may stand under 10,000 tokens. Used by `postgres.ts` and `sqlite.ts`.
 */
import {
  type BinaryOperationNode,
  OperatorNode,
  PostgresQueryCompiler,
  PrimitiveValueListNode,
  SqliteQueryCompiler,
} from "kysely";

/** Members that are parameters of their own: no list that is cut to a statement's worth has more. */
const membersMax = 512;

export class PostgresListCompiler extends PostgresQueryCompiler {
  protected override visitBinaryOperation(node: BinaryOperationNode): void {
    const long = readLongList(node);
    if (long === undefined) super.visitBinaryOperation(node);
    else {
      this.visitNode(node.leftOperand);
      this.append(long.operator === "in" ? " = any(" : " <> all(");
      this.appendValue(long.members);
      this.append(")");
    }
  }
}

export class SqliteListCompiler extends SqliteQueryCompiler {
  protected override visitBinaryOperation(node: BinaryOperationNode): void {
    const long = readLongList(node);
    if (long === undefined) super.visitBinaryOperation(node);
    else {
      this.visitNode(node.leftOperand);
      this.append(` ${long.operator} (select value from json_each(`);
      this.appendValue(JSON.stringify(long.members));
      this.append("))");
    }
  }
}

function readLongList({ operator, rightOperand }: BinaryOperationNode) {
  if (!OperatorNode.is(operator) || !PrimitiveValueListNode.is(rightOperand)) return undefined;
  const { values } = rightOperand;
  const isListed = operator.operator === "in" || operator.operator === "not in";
  if (!isListed || values.length <= membersMax) return undefined;
  return { operator: operator.operator, members: values };
}
