"""The registry on a SQL database: tables, transactions, migrations. The only importer of SQLAlchemy."""
