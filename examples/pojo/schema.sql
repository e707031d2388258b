CREATE DATABASE IF NOT EXISTS m CHARACTER SET utf8mb4;

DROP TABLE IF EXISTS m.pojo;

CREATE TABLE m.pojo (
  aid VARCHAR(32) NOT NULL PRIMARY KEY,
  astyle VARCHAR(32) NOT NULL,
  aname VARCHAR(64),
  log_time BIGINT,
  energy DECIMAL(10, 2),
  age INT,
  astatus VARCHAR(8) NOT NULL,
  tt DATETIME(3),
  create_time VARCHAR(23),
  update_time VARCHAR(23)
);
