-- The patient's tables. Applied at every start, so every statement leaves
-- alone what is there already, tables of the original backend included.
-- MySQL 8 and 9 and MariaDB alike: nothing here is spoken by one of them only.

CREATE TABLE IF NOT EXISTS users (
  id INT PRIMARY KEY AUTO_INCREMENT,
  email VARCHAR(255) UNIQUE NOT NULL,
  password VARCHAR(255) NOT NULL,
  name VARCHAR(100),
  created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS posts (
  id INT PRIMARY KEY AUTO_INCREMENT,
  user_id INT NOT NULL,
  title VARCHAR(255) NOT NULL,
  content TEXT,
  created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The list of posts is read newest first: without this index every page sorts
-- the whole table. MySQL has no ADD INDEX IF NOT EXISTS, hence the question;
-- an index of any name on the same columns will do. A view can have none.
SET @missing = EXISTS (
  SELECT 1
  FROM information_schema.tables
  WHERE table_schema = DATABASE()
    AND table_name = 'posts'
    AND table_type = 'BASE TABLE'
) AND NOT EXISTS (
  SELECT 1
  FROM information_schema.statistics AS first_column
  JOIN information_schema.statistics AS second_column
    ON second_column.table_schema = first_column.table_schema
   AND second_column.table_name = first_column.table_name
   AND second_column.index_name = first_column.index_name
   AND second_column.seq_in_index = 2
   AND second_column.column_name = 'id'
  WHERE first_column.table_schema = DATABASE()
    AND first_column.table_name = 'posts'
    AND first_column.seq_in_index = 1
    AND first_column.column_name = 'created_at'
);
SET @statement = IF(@missing,
  'ALTER TABLE posts ADD INDEX posts_newest (created_at, id)', 'DO 0');
PREPARE add_index FROM @statement;
EXECUTE add_index;
DEALLOCATE PREPARE add_index;
