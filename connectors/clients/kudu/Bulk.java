package connectors.kudu;

import java.io.ByteArrayOutputStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.Date;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import org.apache.kudu.ColumnSchema;
import org.apache.kudu.Schema;
import org.apache.kudu.Type;
import org.apache.kudu.client.KuduException;
import org.apache.kudu.client.KuduScanner;
import org.apache.kudu.client.KuduSession;
import org.apache.kudu.client.KuduTable;
import org.apache.kudu.client.Operation;
import org.apache.kudu.client.OperationResponse;
import org.apache.kudu.client.PartialRow;
import org.apache.kudu.client.RowError;
import org.apache.kudu.client.RowResult;
import org.apache.kudu.client.RowResultIterator;
import org.apache.kudu.client.Status;

/** Whole batches in one call: a call into the JVM for each cell costs more than Kudu does. Compiled by janino (no lambdas). */
public final class Bulk {
  private static final byte UNSET = 0;
  private static final byte NULL = 1;

  private Bulk() {}

  /**
   * Applies one operation for each element of kinds and flushes.
   *
   * @param numbers for each column long[], double[], or null
   * @param bytes for each column of variable length its cells one after the other, or null
   * @param lengths their lengths
   * @param states for each column 0 unset, 1 NULL, 2 set; null where all are set
   * @return null where all is well, else {int[] index, String[] kind, String[] text}
   */
  public static Object[] write(KuduSession session, KuduTable table, byte[] kinds, Object[] numbers, byte[][] bytes,
      int[][] lengths, byte[][] states) {
    List columns = table.getSchema().getColumns();
    int keySize = table.getSchema().getPrimaryKeyColumnCount();
    int width = columns.size();
    int[] offsets = new int[width];
    Operation[] ops = new Operation[kinds.length];
    Failures failures = new Failures();
    for (int row = 0; row < kinds.length; row++) {
      Operation op = operation(table, kinds[row]);
      int used = kinds[row] == 2 ? keySize : width;
      try {
        for (int c = 0; c < used; c++) {
          set(op.getRow(), (ColumnSchema) columns.get(c), c, row, numbers[c], bytes[c], lengths[c], offsets[c], states[c]);
        }
        session.apply(op);
        ops[row] = op;
      } catch (KuduException e) {
        failures.add(row, e.getStatus());
      } catch (RuntimeException e) {
        failures.add(row, "invalid", e.toString());
      }
      for (int c = 0; c < width; c++) {
        if (lengths[c] != null) {
          offsets[c] += lengths[c][row];
        }
      }
    }
    flush(session, ops, failures);
    return failures.result();
  }

  private static Operation operation(KuduTable table, byte kind) {
    if (kind == 0) {
      return table.newUpsert();
    }
    return kind == 1 ? (Operation) table.newInsertIgnore() : (Operation) table.newDeleteIgnore();
  }

  private static void set(PartialRow row, ColumnSchema column, int c, int r, Object numbers, byte[] bytes, int[] lengths,
      int offset, byte[] states) {
    if (states != null && states[r] == UNSET) {
      return;
    }
    if (states != null && states[r] == NULL) {
      row.setNull(c);
    } else if (lengths != null) {
      byte[] cell = new byte[lengths[r]];
      System.arraycopy(bytes, offset, cell, 0, cell.length);
      setBytes(row, column, c, cell);
    } else if (numbers instanceof double[]) {
      double value = ((double[]) numbers)[r];
      if (column.getType() == Type.FLOAT) {
        row.addFloat(c, (float) value);
      } else {
        row.addDouble(c, value);
      }
    } else {
      setLong(row, column, c, ((long[]) numbers)[r]);
    }
  }

  private static void setBytes(PartialRow row, ColumnSchema column, int c, byte[] cell) {
    Type type = column.getType();
    if (type == Type.STRING) {
      row.addStringUtf8(c, cell);
    } else if (type == Type.VARCHAR) {
      row.addVarchar(c, new String(cell, java.nio.charset.StandardCharsets.UTF_8));
    } else if (type == Type.DECIMAL) {
      row.addDecimal(c, new BigDecimal(new BigInteger(cell), column.getTypeAttributes().getScale()));
    } else {
      row.addBinary(c, cell);
    }
  }

  private static void setLong(PartialRow row, ColumnSchema column, int c, long value) {
    Type type = column.getType();
    if (type == Type.INT64 || type == Type.UNIXTIME_MICROS) {
      row.addLong(c, value);
    } else if (type == Type.INT32) {
      row.addInt(c, (int) value);
    } else if (type == Type.DECIMAL) {
      row.addDecimal(c, BigDecimal.valueOf(value, column.getTypeAttributes().getScale()));
    } else if (type == Type.INT16) {
      row.addShort(c, (short) value);
    } else if (type == Type.INT8) {
      row.addByte(c, (byte) value);
    } else if (type == Type.BOOL) {
      row.addBoolean(c, value != 0);
    } else {
      row.addDate(c, Date.valueOf(LocalDate.ofEpochDay(value)));
    }
  }

  private static void flush(KuduSession session, Operation[] ops, Failures failures) {
    IdentityHashMap seen = new IdentityHashMap();
    try {
      List responses = session.flush();
      for (int i = 0; i < responses.size(); i++) {
        OperationResponse response = (OperationResponse) responses.get(i);
        if (response.hasRowError()) {
          seen.put(response.getRowError().getOperation(), response.getRowError());
        }
      }
    } catch (KuduException e) {
      for (int i = 0; i < ops.length; i++) {
        if (ops[i] != null) {
          failures.add(i, e.getStatus());
        }
      }
    }
    // Time-outs stand in both places: what is not fetched from here piles up and overflows.
    RowError[] pending = session.getPendingErrors().getRowErrors();
    for (int i = 0; i < pending.length; i++) {
      seen.put(pending[i].getOperation(), pending[i]);
    }
    for (int i = 0; i < ops.length && !seen.isEmpty(); i++) {
      RowError error = ops[i] == null ? null : (RowError) seen.remove(ops[i]);
      if (error != null) {
        failures.add(i, error.getErrorStatus());
      }
    }
  }

  /** Returns a row with one column set, which bounds a range; its value is the first of the arrays, as in write. */
  public static PartialRow row(Schema schema, int column, Object numbers, byte[] bytes, int[] lengths) {
    PartialRow row = schema.newPartialRow();
    set(row, schema.getColumnByIndex(column), column, 0, numbers, bytes, lengths, 0, null);
    return row;
  }

  /**
   * Reads the next rows of a table, up to about a number of them.
   *
   * @return for each column {byte[] isNull, long[] or double[], byte[] or null}; null at the end
   */
  public static Object[] read(KuduScanner scanner, KuduTable table, int most) throws KuduException {
    List columns = table.getSchema().getColumns();
    Gathered[] gathered = new Gathered[columns.size()];
    for (int c = 0; c < gathered.length; c++) {
      gathered[c] = new Gathered(((ColumnSchema) columns.get(c)).getType());
    }
    int count = 0;
    while (count < most && scanner.hasMoreRows()) {
      RowResultIterator rows = scanner.nextRows();
      while (rows.hasNext()) {
        RowResult row = (RowResult) rows.next();
        for (int c = 0; c < gathered.length; c++) {
          gathered[c].add(row, c);
        }
        count++;
      }
    }
    if (count == 0) {
      return null;
    }
    Object[] result = new Object[gathered.length];
    for (int c = 0; c < gathered.length; c++) {
      result[c] = gathered[c].result();
    }
    return result;
  }

  /** Returns the word of our port for a status. */
  public static String kind(Status status) {
    String text = status.toString();
    if (status.isTimedOut()) {
      return "timeout";
    }
    if (status.isServiceUnavailable() || status.isNetworkError() || status.isAborted() || status.isIncomplete()) {
      return "unavailable";
    }
    if (text.contains("not present in tablet") || text.contains("Unknown column") || text.contains("must have type")
        || text.contains("chema version")) {
      return "schema_changed";
    }
    if (status.isNotAuthorized()) {
      return "not_authorized";
    }
    if (text.contains("range partition")) {
      return "invalid"; // the row lies outside all of the table's ranges
    }
    if (status.isNotFound() || text.contains("was deleted")) {
      return "not_found";
    }
    if (status.isAlreadyPresent()) {
      return "already_present";
    }
    return status.isInvalidArgument() || status.isImmutable() ? "invalid" : "fatal";
  }

  private static final class Failures {
    private final List indexes = new ArrayList();
    private final List kinds = new ArrayList();
    private final List texts = new ArrayList();

    void add(int index, Status status) {
      add(index, kind(status), status.toString());
    }

    void add(int index, String kind, String text) {
      indexes.add(Integer.valueOf(index));
      kinds.add(kind);
      texts.add(text);
    }

    Object[] result() {
      if (indexes.isEmpty()) {
        return null;
      }
      int[] places = new int[indexes.size()];
      for (int i = 0; i < places.length; i++) {
        places[i] = ((Integer) indexes.get(i)).intValue();
      }
      return new Object[] {places, kinds.toArray(new String[0]), texts.toArray(new String[0])};
    }
  }

  private static final class Gathered {
    private final Type type;
    private final ByteArrayOutputStream nulls = new ByteArrayOutputStream();
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private long[] longs = new long[1024];
    private double[] doubles = new double[0];
    private int size = 0;

    Gathered(Type type) {
      this.type = type;
      if (type == Type.FLOAT || type == Type.DOUBLE) {
        doubles = new double[1024];
      }
    }

    void add(RowResult row, int c) {
      if (size == longs.length) {
        longs = java.util.Arrays.copyOf(longs, size * 2);
      }
      if (doubles.length == size && doubles.length > 0) {
        doubles = java.util.Arrays.copyOf(doubles, size * 2);
      }
      boolean isNull = row.isNull(c);
      nulls.write(isNull ? 1 : 0);
      if (!isNull) {
        read(row, c);
      }
      size++;
    }

    private void read(RowResult row, int c) {
      if (type == Type.STRING || type == Type.VARCHAR || type == Type.BINARY) {
        append(type == Type.BINARY ? row.getBinaryCopy(c)
            : (type == Type.STRING ? row.getString(c) : row.getVarchar(c))
                .getBytes(java.nio.charset.StandardCharsets.UTF_8));
      } else if (type == Type.DECIMAL) {
        append(row.getDecimal(c).unscaledValue().toByteArray());
      } else if (type == Type.DOUBLE) {
        doubles[size] = row.getDouble(c);
      } else if (type == Type.FLOAT) {
        doubles[size] = row.getFloat(c);
      } else {
        longs[size] = integer(row, c);
      }
    }

    private long integer(RowResult row, int c) {
      if (type == Type.INT32) {
        return row.getInt(c);
      }
      if (type == Type.INT16) {
        return row.getShort(c);
      }
      if (type == Type.INT8) {
        return row.getByte(c);
      }
      if (type == Type.BOOL) {
        return row.getBoolean(c) ? 1 : 0;
      }
      return type == Type.DATE ? row.getDate(c).toLocalDate().toEpochDay() : row.getLong(c);
    }

    private void append(byte[] cell) {
      bytes.write(cell, 0, cell.length);
      longs[size] = cell.length;
    }

    Object[] result() {
      boolean isFloat = doubles.length > 0;
      boolean isBytes = type == Type.STRING || type == Type.VARCHAR || type == Type.BINARY || type == Type.DECIMAL;
      Object values = isFloat ? (Object) java.util.Arrays.copyOf(doubles, size) : java.util.Arrays.copyOf(longs, size);
      return new Object[] {nulls.toByteArray(), values, isBytes ? bytes.toByteArray() : null};
    }
  }
}
