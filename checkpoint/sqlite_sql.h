/* Every statement of the SQLite store, prepared on first use and kept. Parameters are bound in the
 * order of their numbers. Terms like `state < 2` repeat the condition of a partial index, which
 * SQLite wants to see literally before it uses it. */
#ifndef MM_CHECKPOINT_SQLITE_SQL_H
#define MM_CHECKPOINT_SQLITE_SQL_H

/* `copy` tasks in the wide sense: those that carry an extent (mm_task_kind COPY and CHANGE). */
#define MM_SQL_COPY "kind IN (1, 2)"
#define MM_SQL_NEWEST "(SELECT max(run) FROM run)"

#define MM_SQL_RUN_COLUMNS                                                                         \
    "run, state, started_ms, finished_ms, error, phase, exit_code, rows_total, bytes_total, "      \
    "rows_done, bytes_done, rows_rejected, rows_thinned, rows_resent, tasks_total, tasks_done, "   \
    "verify_total, verify_done, active_ms, duplicates, rejects_size, verdict, source_rows, "       \
    "target_rows, mismatches, config_fingerprint, "                                                \
    "CASE WHEN run = " MM_SQL_NEWEST                                                               \
    " THEN (SELECT count(*) FROM progress WHERE state = 1 AND state < 2) ELSE 0 END"

/* A task as mm_sql_task reads it; a verify task (t) shows the extent of its copy task (c). */
#define MM_SQL_TASK                                                                                \
    "SELECT t.id, t.kind, t.collection, t.part, c.rows, c.bytes, c.spec, t.copy_of, p.epoch, "     \
    "p.cursor_row, p.mark, p.reserved, p.rows_done, p.rejected, p.thinned, p.mismatched, "         \
    "p.bytes_done, p.checksum, h.rows FROM task t "                                                \
    "JOIN task c ON c.id = ifnull(t.copy_of, t.id) LEFT JOIN progress p ON p.id = t.id "           \
    "LEFT JOIN thin h ON h.task = c.id "

#define MM_SQL_TABLE(X)                                                                            \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(TXN_READ, "SELECT txn FROM run ORDER BY run DESC LIMIT 1")                                   \
    X(TXN_NEXT, "UPDATE run SET txn = txn + 1 WHERE run = " MM_SQL_NEWEST " RETURNING txn")        \
    X(JOB_READ, "SELECT name, tag, config_path, config_text, overrides FROM job")                  \
    X(JOB_WRITE, "INSERT INTO job VALUES (1, ?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET "  \
                 "name = ?1, config_path = ?3, config_text = ?4, overrides = ?5")                  \
    X(RUN_READ, "SELECT " MM_SQL_RUN_COLUMNS " FROM run ORDER BY run DESC LIMIT 1")                \
    X(RUNS, "SELECT " MM_SQL_RUN_COLUMNS " FROM run WHERE run > 0 ORDER BY run DESC")              \
    X(RUN_COUNT, "SELECT count(*) FROM run WHERE run > 0")                                         \
    X(RUN_INSERT,                                                                                  \
      "INSERT INTO run (run, txn, state, started_ms, finished_ms, error, phase, exit_code, "       \
      "rows_total, bytes_total, active_ms, duplicates, config_fingerprint) "                       \
      "VALUES (?1, 1 + (SELECT txn FROM run ORDER BY run DESC LIMIT 1), "                          \
      "?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")                                            \
    X(RUN_TOTALS, "UPDATE run SET rows_total = ?1, bytes_total = ?2, duplicates = ?3 "             \
                  "WHERE run = " MM_SQL_NEWEST)                                                    \
    X(RUN_TASKS, "UPDATE run SET tasks_total = ?1 WHERE run = " MM_SQL_NEWEST)                     \
    X(RUN_ADD,                                                                                     \
      "UPDATE run SET txn = txn + 1, rows_done = rows_done + ?1, bytes_done = bytes_done + ?2, "   \
      "rows_rejected = rows_rejected + ?3, rows_thinned = rows_thinned + ?4, "                     \
      "rows_resent = rows_resent + ?5, tasks_done = tasks_done + ?6, "                             \
      "verify_done = verify_done + ?7, mismatched = mismatched + ?8, "                             \
      "active_ms = active_ms + ?9, "                                                               \
      "rejects_size = CASE WHEN ?10 > 0 THEN ?10 ELSE rejects_size END "                           \
      "WHERE run = " MM_SQL_NEWEST " RETURNING txn")                                               \
    X(RUN_PHASE, "UPDATE run SET phase = ?1 WHERE run = " MM_SQL_NEWEST " AND run > 0")            \
    X(RUN_SETTLED, "UPDATE run SET rows_total = rows_done + rows_rejected + rows_thinned "         \
                   "WHERE run = " MM_SQL_NEWEST " AND rows_total IS NOT NULL")                     \
    X(RUN_STATE, "UPDATE run SET state = ?1, error = ?2, exit_code = ?3, finished_ms = ?4 "        \
                 "WHERE run = " MM_SQL_NEWEST " AND run > 0")                                      \
    X(RUN_VERDICT, "UPDATE run SET verdict = ?1, source_rows = ?2, target_rows = ?3, "             \
                   "mismatches = ?4 WHERE run = " MM_SQL_NEWEST " AND run > 0")                    \
    X(RUN_VERIFY, "UPDATE run SET txn = txn + 1, verify_total = ?1, verify_done = 0, "             \
                  "mismatched = 0, verdict = 0, source_rows = NULL, target_rows = NULL, "          \
                  "mismatches = NULL WHERE run = " MM_SQL_NEWEST " RETURNING txn")                 \
    X(MISMATCHES, "SELECT mismatched FROM run ORDER BY run DESC LIMIT 1")                          \
    X(COLLECTION_INSERT, "INSERT INTO collection VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)") \
    X(COLLECTIONS, "SELECT id, source_name, target_name, mapping, source_fingerprint, "            \
                   "target_fingerprint, fence, fence_intended, sealed, skipped "                   \
                   "FROM collection ORDER BY id")                                                  \
    X(COLLECTION_COUNT, "SELECT count(*) FROM collection")                                         \
    X(COLLECTION_FENCE, "UPDATE collection SET fence = ?2, fence_intended = ?3, sealed = 0 "       \
                        "WHERE id = ?1 AND fence <= ?2")                                           \
    X(COLLECTION_SEAL, "UPDATE collection SET sealed = 1, fence_intended = 0 WHERE id = ?1")       \
    X(COLLECTION_SKIP, "UPDATE collection SET skipped = 1 WHERE id = ?1")                          \
    X(COLLECTION_TARGET, "UPDATE collection SET target_fingerprint = ?2 WHERE id = ?1")            \
    X(SKIP_COUNT, "SELECT CASE WHEN (SELECT skipped FROM collection WHERE id = ?1) THEN 0 ELSE "   \
                  "(SELECT ifnull(sum(last_id - first_id + 1), 0) FROM stretch "                   \
                  "WHERE collection = ?1 AND " MM_SQL_COPY ") - (SELECT count(*) FROM progress "   \
                  "WHERE collection = ?1 AND " MM_SQL_COPY " AND state = 2) END")                  \
    X(SKIP_PROGRESS, "UPDATE progress SET state = 2, owner = 0 WHERE collection = ?1 "             \
                     "AND kind IN (1, 2, 3) AND state < 2")                                        \
    X(SKIP_STRETCH, "UPDATE stretch SET next_id = last_id + 1 WHERE collection = ?1")              \
    X(TASK_INSERT, "INSERT INTO task VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL)")                   \
    X(THIN_WRITE, "INSERT INTO thin SELECT id, ?2 FROM task WHERE id = ?1 "                        \
                  "ON CONFLICT (task) DO UPDATE SET rows = excluded.rows")                         \
    X(STRETCH_INSERT, "INSERT INTO stretch VALUES (?1, ?2, ?1, ?3, ?4)")                           \
    X(STRETCH_OPEN, "SELECT first_id, next_id, last_id FROM stretch "                              \
                    "WHERE kind = ?1 AND next_id <= last_id ORDER BY first_id LIMIT 1")            \
    X(STRETCH_NEXT, "UPDATE stretch SET next_id = ?2 WHERE first_id = ?1")                         \
    X(COPY_LAST, "SELECT ifnull(max(last_id), 0) FROM stretch WHERE kind <> 4")                    \
    X(CLAIM_FORMER, "SELECT id FROM progress WHERE kind = ?1 AND state = 1 AND state < 2 "         \
                    "AND owner <> ?2 ORDER BY id LIMIT ?3")                                        \
    X(CLAIM_RELEASED, "SELECT id FROM progress WHERE kind = ?1 AND state = 0 AND state < 2 "       \
                      "ORDER BY id LIMIT ?2")                                                      \
    X(CLAIM_AGAIN, "UPDATE progress SET state = 1, owner = ?2, epoch = epoch + 1 "                 \
                   "WHERE id = ?1 AND state < 2")                                                  \
    X(CLAIM_FRESH, "INSERT INTO progress (id, kind, collection, part, state, owner, epoch) "       \
                   "SELECT id, kind, collection, part, 1, ?2, 1 FROM task WHERE id = ?1 "          \
                   "ON CONFLICT (id) DO NOTHING")                                                  \
    X(CLAIM_DOUBT, "INSERT INTO doubt SELECT id, cursor_row, reserved FROM progress "              \
                   "WHERE id = ?1 AND reserved > cursor_row ON CONFLICT DO NOTHING")               \
    X(TASK_READ, MM_SQL_TASK "WHERE t.id = ?1")                                                    \
    X(TASK_PAGE, MM_SQL_TASK "WHERE t.id > ?1 AND t.id <= ?2 AND t." MM_SQL_COPY                   \
                             " ORDER BY t.id LIMIT ?3")                                            \
    X(PROGRESS_STATE, "SELECT state FROM progress WHERE id = ?1")                                  \
    X(PROGRESS_MAKE, "INSERT INTO progress (id, kind, collection, part, state, epoch) "            \
                     "SELECT id, kind, collection, part, 0, 0 FROM task WHERE id = ?1 "            \
                     "ON CONFLICT (id) DO NOTHING")                                                \
    X(PROGRESS_RESERVE, "UPDATE progress SET reserved = max(reserved, ?3) WHERE id = ?1 "          \
                        "AND (?2 = 0 OR (epoch = ?2 AND state = 1))")                              \
    X(PROGRESS_ADVANCE,                                                                            \
      "UPDATE progress SET "                                                                       \
      "cursor_row = CASE WHEN ?4 THEN ?5 ELSE cursor_row END, "                                    \
      "mark = CASE WHEN ?4 THEN ?6 ELSE mark END, "                                                \
      "reserved = max(reserved, ?3, CASE WHEN ?4 THEN ?5 ELSE 0 END), "                            \
      "state = CASE WHEN ?7 THEN 2 ELSE state END, rows_done = rows_done + ?8, "                   \
      "rejected = rejected + ?9, thinned = thinned + ?10, mismatched = mismatched + ?11, "         \
      "bytes_done = bytes_done + ?12, checksum = mm_wrap_add(checksum, ?13) "                      \
      "WHERE id = ?1 AND (?2 = 0 OR (epoch = ?2 AND state = 1)) "                                  \
      "AND (NOT ?4 OR ?5 >= cursor_row) RETURNING kind, collection, part")                                                          \
    X(PROGRESS_RELEASE, "UPDATE progress SET state = 0, owner = 0 WHERE id = ?1 AND state = 1 "    \
                        "AND (?2 = 0 OR epoch = ?2)")                                              \
    X(PROGRESS_HELD, "SELECT 1 FROM progress WHERE id = ?1 AND epoch = ?2 AND state = 1")          \
    X(SHARE_ADD, "INSERT INTO share VALUES (?1, ?2, ?3) "                                          \
                 "ON CONFLICT (collection, part) DO UPDATE SET rows = rows + excluded.rows")       \
    X(SHARE_SUM, "SELECT ifnull(sum(rows), 0) FROM share WHERE collection = ?1")                   \
    X(SHARE_ONE, "SELECT ifnull(sum(rows), 0) FROM share WHERE collection = ?1 AND part = ?2")     \
    X(SHARE_REMAKE, "INSERT INTO share SELECT collection, part, sum(rows_done) FROM progress "     \
                    "WHERE " MM_SQL_COPY " GROUP BY collection, part")                             \
    X(VERIFIED_SUM, "SELECT ifnull(sum(rows_done), 0) FROM progress WHERE kind = 4 AND collection = ?1") \
    X(VERIFIED_ONE, "SELECT ifnull(sum(rows_done), 0) FROM progress WHERE kind = 4 "               \
                    "AND collection = ?1 AND part = ?2")                                           \
    X(CHANGED_SUM, "SELECT ifnull(sum(rows_done), 0) FROM progress WHERE kind = 2 "                 \
                   "AND (?1 < 0 OR collection = ?1)")                                              \
    X(RUN_TASKS_READ, "SELECT tasks_total FROM run WHERE run = " MM_SQL_NEWEST)                    \
    X(DOUBT_INSERT, "INSERT INTO doubt VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")                \
    X(DOUBTS, "SELECT task, from_row, to_row FROM doubt ORDER BY task, from_row, to_row")          \
    X(DOUBT_COUNT, "SELECT count(*) FROM doubt")                                                   \
    X(STEP_WRITE, "INSERT INTO step (collection, name, text, done) VALUES (?1, ?2, ?3, ?4) "       \
                  "ON CONFLICT (collection, name) DO UPDATE SET text = ?3, done = ?4")             \
    X(STEPS, "SELECT name, text, done FROM step WHERE collection = ?1 ORDER BY id")                \
    X(STEP_COUNT, "SELECT count(*) FROM step WHERE collection = ?1")                               \
    X(STATE_WRITE, "INSERT INTO state VALUES (?1, ?2) "                                            \
                   "ON CONFLICT (key) DO UPDATE SET value = ?2")                                   \
    X(STATE_REMOVE, "DELETE FROM state WHERE key = ?1")                                            \
    X(STATES, "SELECT key, value FROM state ORDER BY key")                                         \
    X(STATE_COUNT, "SELECT count(*) FROM state")                                                   \
    X(VERIFY_PROGRESS_DROP, "DELETE FROM progress WHERE id > ?1")                                  \
    X(VERIFY_TASK_DROP, "DELETE FROM task WHERE id > ?1")                                          \
    X(VERIFY_STRETCH_DROP, "DELETE FROM stretch WHERE kind = 4")                                   \
    X(VERIFY_ALL, "INSERT INTO task (kind, collection, part, copy_of) "                            \
                  "SELECT 4, collection, part, id FROM progress "                                  \
                  "WHERE id <= ?1 AND " MM_SQL_COPY " AND rows_done > 0 ORDER BY id")              \
    X(VERIFY_DOUBTFUL, "INSERT INTO task (kind, collection, part, copy_of) "                       \
                       "SELECT 4, collection, part, id FROM progress "                             \
                       "WHERE id <= ?1 AND " MM_SQL_COPY " AND rows_done > 0 "                     \
                       "AND EXISTS (SELECT 1 FROM doubt d WHERE d.task = progress.id) "            \
                       "ORDER BY id")                                                              \
    X(REPAIR_SUMS, "SELECT count(*), ifnull(sum(state = 2), 0), ifnull(sum(rows_done), 0), "       \
                   "ifnull(sum(bytes_done), 0), ifnull(sum(rejected), 0), "                        \
                   "ifnull(sum(thinned), 0) FROM progress WHERE id IN (" MM_SQL_WRONG ")")         \
    X(REPAIR_RESET, "UPDATE progress SET state = 0, owner = 0, "                                   \
                    "reserved = max(reserved, cursor_row), cursor_row = 0, mark = NULL, "          \
                    "rows_done = 0, rejected = 0, thinned = 0, mismatched = 0, bytes_done = 0, "   \
                    "checksum = 0 WHERE id IN (" MM_SQL_WRONG ")")                                 \
    X(REPAIR_TOTALS, "UPDATE run SET tasks_done = tasks_done - ?1, rows_done = rows_done - ?2, "   \
                     "bytes_done = bytes_done - ?3, rows_rejected = rows_rejected - ?4, "          \
                     "rows_thinned = rows_thinned - ?5 WHERE run = " MM_SQL_NEWEST)                \
    X(SWEEP_WANT, "INSERT INTO sweep (collection, state, written, last_task) VALUES (?1, 1, "      \
                  "(SELECT ifnull(sum(rows), 0) FROM share WHERE collection = ?1), ?2) "           \
                  "ON CONFLICT (collection) DO UPDATE SET state = 1, "                             \
                  "written = written + " MM_SQL_LATER ", last_task = ?2")                          \
    X(SWEEP_COUNTED,                                                                               \
      "INSERT INTO sweep (collection, state, written, others, last_task) "                         \
      "SELECT ?1, 0, CASE WHEN ?3 THEN ?2 ELSE min(?2, w) END, "                                   \
      "CASE WHEN ?3 THEN 0 ELSE max(?2 - w, 0) END, l FROM "                                       \
      "(SELECT ifnull(sum(rows), 0) AS w FROM share WHERE collection = ?1), "                      \
      "(SELECT ifnull(max(last_id), 0) AS l FROM stretch WHERE kind <> 4) WHERE true "             \
      "ON CONFLICT (collection) DO UPDATE SET "                                                    \
      "others = CASE WHEN ?3 THEN 0 ELSE max(?2 - written - " MM_SQL_LATER " + removed, 0) END, "  \
      "written = CASE WHEN ?3 THEN ?2 ELSE written END, "                                          \
      "removed = CASE WHEN ?3 THEN 0 ELSE removed END, "                                           \
      "last_task = CASE WHEN ?3 THEN excluded.last_task ELSE last_task END")                       \
    X(SWEEP_COUNT, "SELECT count(*) FROM sweep WHERE state > 0")                                   \
    X(SWEEPS, "SELECT collection, state, max(written + " MM_SQL_LATER " - removed, 0), others " \
              "FROM sweep "                                                                        \
              "WHERE state > 0 ORDER BY collection")                                               \
    X(SWEEP_FOUND, "UPDATE sweep SET state = 2 WHERE collection = ?1 AND state > 0")               \
    X(SWEEP_REMOVED, "UPDATE sweep SET removed = removed + ?2, "                                   \
                     "state = CASE WHEN ?3 THEN 0 ELSE state END WHERE collection = ?1")           \
    X(EXTRA_CLEAR, "DELETE FROM extra WHERE collection = ?1")                                      \
    X(EXTRA_ADD, "INSERT INTO extra (collection, key) VALUES (?1, ?2)")                            \
    X(EXTRAS, "SELECT id, key FROM extra WHERE collection = ?1 ORDER BY id LIMIT ?2")              \
    X(EXTRA_DROP, "DELETE FROM extra WHERE collection = ?1 AND id <= ?2")

/* Rows of changes that were written since a sweep was asked for. */
#define MM_SQL_LATER                                                                               \
    "(SELECT ifnull(sum(p.rows_done), 0) FROM progress p WHERE p.kind = 2 "                        \
    "AND p.collection = sweep.collection AND p.id > sweep.last_task)"

/* Copy tasks whose verify task found differences. */
#define MM_SQL_WRONG                                                                               \
    "SELECT t.copy_of FROM progress v JOIN task t ON t.id = v.id "                                 \
    "WHERE v.kind = 4 AND v.mismatched > 0"

typedef enum mm_sql_id {
#define MM_X(name, text) MM_SQL_##name,
    MM_SQL_TABLE(MM_X)
#undef MM_X
        MM_SQL_COUNT
} mm_sql_id;

#endif
