import com.alibaba.otter.canal.connector.kafka.producer.CanalKafkaProducer;
import com.alibaba.otter.canal.instance.core.CanalMQConfig;
import com.alibaba.otter.canal.instance.manager.CanalInstanceWithManager;
import com.alibaba.otter.canal.instance.manager.model.Canal;
import com.alibaba.otter.canal.instance.manager.model.CanalParameter;
import com.alibaba.otter.canal.server.CanalMQStarter;
import com.alibaba.otter.canal.server.embedded.CanalServerWithEmbedded;
import java.io.FileReader;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Properties;

/** One Canal instance with Canal's own Kafka producer, without the deployer, of which Maven has no current version. */
public final class CanalToKafka {
    public static void main(String[] arguments) throws Exception {
        Properties given = new Properties();
        try (FileReader reader = new FileReader(arguments[0])) {
            given.load(reader);
        }
        CanalMQConfig target = new CanalMQConfig();
        target.setTopic(given.getProperty("topic"));
        target.setPartition(0);

        CanalServerWithEmbedded server = CanalServerWithEmbedded.instance();
        server.setCanalInstanceGenerator(destination -> new Instance(canal(destination, given), given, target));
        server.start();
        server.start("bench");

        CanalKafkaProducer producer = new CanalKafkaProducer();
        producer.init(given);
        new CanalMQStarter(producer).start("bench");
        Thread.currentThread().join();
    }

    private static Canal canal(String destination, Properties given) {
        CanalParameter parameter = new CanalParameter();
        parameter.setMetaMode(CanalParameter.MetaMode.MEMORY);
        parameter.setStorageMode(CanalParameter.StorageMode.MEMORY);
        parameter.setStorageBatchMode(CanalParameter.BatchMode.MEMSIZE);
        parameter.setMemoryStorageBufferSize(16 * 1024);
        parameter.setMemoryStorageRawEntry(false); // as the launcher sets it for flat messages
        parameter.setIndexMode(CanalParameter.IndexMode.MEMORY);
        parameter.setSourcingType(CanalParameter.SourcingType.MYSQL);
        parameter.setHaMode(CanalParameter.HAMode.HEARTBEAT);
        parameter.setDetectingEnable(false);
        parameter.setTsdbEnable(false);
        parameter.setGtidEnable(false);
        parameter.setParallel(true);
        parameter.setDefaultConnectionTimeoutInSeconds(30);
        parameter.setReceiveBufferSize(16 * 1024);
        parameter.setSendBufferSize(16 * 1024);
        parameter.setConnectionCharset("UTF-8");
        parameter.setSlaveId(Long.valueOf(given.getProperty("server.id")));
        parameter.setDbAddresses(List.of(
                new InetSocketAddress(given.getProperty("host"), Integer.parseInt(given.getProperty("port")))));
        parameter.setDbUsername(given.getProperty("user"));
        parameter.setDbPassword(given.getProperty("password"));
        parameter.setPositions(List.of(given.getProperty("position")));
        Canal canal = new Canal();
        canal.setId(1L);
        canal.setName(destination);
        canal.setCanalParameter(parameter);
        return canal;
    }

    private static final class Instance extends CanalInstanceWithManager {
        Instance(Canal canal, Properties given, CanalMQConfig target) {
            super(canal, given.getProperty("filter"));
            this.mqConfig = target;
        }
    }
}
